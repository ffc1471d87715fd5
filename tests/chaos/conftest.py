"""One cluster for all of it: two gateways, two replicas of a real model and four simulated ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.chaos.clients import Client
from tests.chaos.clusters import KEY, ChaosCluster, chaos_cluster, configuration, real, simulated
from tests.chaos.nemesis import Nemesis

SEED = 20261122


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosCluster]:
    config = configuration(real(2), simulated(4), gateways=2)
    with chaos_cluster(config, tmp_path_factory.mktemp("chaos")) as cluster:
        yield cluster


@pytest.fixture
async def nemesis(cluster: ChaosCluster) -> AsyncIterator[Nemesis]:
    """One that has done nothing yet; what it leaves broken is whole again before the next test."""
    nemesis = Nemesis(cluster.notes, SEED)
    await cluster.ready(nemesis)
    yield nemesis
    cluster.notes.spare()
    await cluster.ready(nemesis)


@pytest.fixture
async def client(cluster: ChaosCluster) -> AsyncIterator[Client]:
    client = Client(cluster.base_url, KEY)
    yield client
    await client.close()
