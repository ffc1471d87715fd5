"""What becomes of requests when an installed release changes under them."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
import yaml

from cluster.client.admin_answers import Limits, Tenant
from tests.chaos.nemesis import until
from tests.install.conftest import MODELS, SIMULATED, TENANT, chart
from tests.install.installed import Installed
from tests.install.load import MixedLoad
from tests.install.objects import Objects

pytestmark = pytest.mark.full

RUN_UP_SECONDS = 1.0
"""Of requests before something happens to them, and after it."""


def changed(**pool: Any) -> str:
    """The ``serveConfigV2`` of an upgrade that changes the pools, and how the gateways keep silent streams open."""
    models = copy.deepcopy(MODELS)
    for model in models:
        model["pools"] = [{**each, **pool} for each in model["pools"]]
    document: str = Objects(chart(models, http={"keep_alive_seconds": 5})).only("RayService")["spec"]["serveConfigV2"]
    return document


async def test_no_request_fails_while_the_configuration_is_upgraded(release: Installed, load: MixedLoad) -> None:
    upgrade = changed(max_running=6)

    async def mischief() -> None:
        await asyncio.sleep(RUN_UP_SECONDS)
        before = release.replica_names()
        await asyncio.to_thread(release.deploy, upgrade)
        await until(lambda: not before & release.replica_names(), "the end of what ran before", 120.0)
        await asyncio.to_thread(release.wait_until_running)
        with release.admin() as admin:
            admin.put_tenant(Tenant(name=TENANT, limits=Limits(concurrency=64)))
        await asyncio.sleep(RUN_UP_SECONDS)

    try:
        seen = await load.during(mischief())
    finally:
        await asyncio.to_thread(release.deploy, release.service["spec"]["serveConfigV2"])
    assert not seen.wrong, "\n".join(seen.wrong)
    assert min(seen.answered.values()) > 1
    (model, *_) = [
        each for each in yaml.safe_load(upgrade)["applications"][0]["args"]["models"] if each["id"] == SIMULATED
    ]
    assert model["pools"][0]["max_running"] == 6


@pytest.mark.parametrize("group", ["cpu", "gateway"])
async def test_a_pod_that_is_evicted_loses_no_request(group: str, release: Installed, load: MixedLoad) -> None:
    taken: list[float | None] = []

    async def mischief() -> None:
        await asyncio.sleep(RUN_UP_SECONDS)
        taken.append(await asyncio.to_thread(release.kubelet.stop, release.pods(group)[0].pod.name))
        # KubeRay makes another pod only when the old one is gone.
        await asyncio.to_thread(release.start_worker, group)
        await asyncio.to_thread(release.wait_until_running)
        await asyncio.sleep(RUN_UP_SECONDS)

    seen = await load.during(mischief())
    assert not seen.wrong, "\n".join(seen.wrong)
    assert taken[0] is not None, "it was killed when its grace period was over"


async def test_requests_go_on_when_the_node_of_their_replicas_is_lost(release: Installed, load: MixedLoad) -> None:
    lost = release.pods("cpu")[0].pod

    async def mischief() -> None:
        await asyncio.sleep(RUN_UP_SECONDS)
        assert lost.address in release.places()[f"worker:{SIMULATED}:default"]
        await asyncio.to_thread(release.kubelet.lose, lost.name)
        new = await asyncio.to_thread(release.start_worker, "cpu")
        await until(lambda: _is_used(release, lost.address), "the return of the replicas", 180.0)
        assert new.pod.address != lost.address
        await asyncio.sleep(RUN_UP_SECONDS)

    seen = await load.during(mischief())
    assert not seen.wrong, "\n".join(seen.wrong)


async def test_requests_go_on_while_there_is_no_head(release: Installed, load: MixedLoad) -> None:
    (head,) = release.pods("headgroup")

    async def mischief() -> None:
        await asyncio.sleep(RUN_UP_SECONDS)
        await asyncio.to_thread(release.kubelet.kill, head.pod.name)
        await asyncio.sleep(RUN_UP_SECONDS)
        await asyncio.to_thread(release.start_head)
        await asyncio.to_thread(release.wait_until_running)
        await asyncio.sleep(RUN_UP_SECONDS)

    seen = await load.during(mischief())
    assert not seen.wrong, "\n".join(seen.wrong)


def _is_used(release: Installed, lost: str) -> bool:
    """Whether every replica is back, none of them on the lost node."""
    places = release.places()
    return all(len(found) == 2 and lost not in found for found in places.values())
