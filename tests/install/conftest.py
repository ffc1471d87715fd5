"""The chart of a laptop, with what one machine without an autoscaler needs, installed once for all tests."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.client.admin_answers import Tenant
from tests.chaos.clients import Client
from tests.chaos.load import bodies
from tests.helm.chart import render
from tests.install.installed import GRPC, Installed, installed
from tests.install.load import MixedLoad
from tests.install.network import obstacle

TENANT = "acme"
GROUPS = {"gateway": 2, "cpu": 2}
REAL, SIMULATED = "tiny-code", "simulated"
SEED = 20261122

POOL: dict[str, Any] = {"cpus": 0.25, "replicas": 2, "max_running": 8, "max_waiting": 64, "stall_seconds": 6}
SLOW_STEPS = {"floor_seconds": 0.06, "per_position_seconds": 0, "per_segment_seconds": 0}
MODELS: list[dict[str, Any]] = [
    {"id": REAL, "checkpoint": "embedded:tiny-code", "pools": [POOL]},
    {
        "id": SIMULATED,
        "checkpoint": "embedded:tiny-code",
        "device": "simulated",
        "simulation": SLOW_STEPS,
        "pools": [POOL],
    },
]


def chart(models: list[dict[str, Any]], **config: Any) -> list[dict[str, Any]]:
    """The rendered chart for ``models`` and further sections of the configuration."""
    sections = {"gateway": {"replicas": 2, "cpus": 1}, "state": {"lease_seconds": 6}, **config}
    return render(
        "laptop",
        ray__autoscaler="false",
        gateways__replicas=str(GROUPS["gateway"]),
        workers__cpu__minReplicas=str(GROUPS["cpu"]),
        workers__cpu__maxReplicas=str(GROUPS["cpu"]),
        workers__cpu__resources__limits__cpu="1",
        config__models=json.dumps(models),
        **{f"config__{name}": json.dumps(section) for name, section in sections.items()},
    )


@pytest.fixture(scope="session")
def installation() -> Iterator[Installed]:
    reason = obstacle()
    if reason is not None:
        pytest.skip(reason)
    # The addresses of Ray's sockets have to be short, and files of the pods are read by users of their own.
    with (
        tempfile.TemporaryDirectory(prefix="dllm-pods-", ignore_cleanup_errors=True) as folder,
        installed(chart(MODELS), Path(folder)) as release,
    ):
        release.wait_until_running()
        yield release


@pytest.fixture
def release(installation: Installed) -> Installed:
    """With all its pods, whatever the last test did to them."""
    if not installation.pods("headgroup"):
        installation.start_head()
    for group, count in GROUPS.items():
        for _ in range(count - len(installation.pods(group))):
            installation.start_worker(group)
    installation.wait_until_running()
    return installation


@pytest.fixture
def key(release: Installed) -> str:
    with release.admin() as admin:
        admin.put_tenant(Tenant(name=TENANT))
        return admin.create_key(TENANT).key


@pytest.fixture
async def client(release: Installed, key: str) -> AsyncIterator[Client]:
    client = Client(release.base_url, key)
    yield client
    await client.close()


@pytest.fixture
async def load(release: Installed, client: Client, key: str) -> MixedLoad:
    """Requests of which each takes a second or ten."""
    asked = bodies(SIMULATED, SEED, 6, least=32, most=320)
    return MixedLoad(client, release.local(GRPC), key, asked, await client.answers(asked))
