"""The state server is killed, frozen, cut off and slow; requests go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.chaos.clients import Client, Json, Seen
from tests.chaos.clusters import LEASE_SECONDS, SIMULATED, ChaosCluster
from tests.chaos.conftest import SEED
from tests.chaos.history import faults
from tests.chaos.load import Load, bodies

pytestmark = pytest.mark.chaos

OUTAGE_SECONDS = LEASE_SECONDS + 2.0
"""So all leases expire meanwhile, and no gateway can tell whether the other one lives."""

RUN_UP_SECONDS = 1.0
LASTING: Json = {"max_tokens": 352, "diffusion": {"algorithm": "random"}}
"""An answer that takes every step that it may, so longer than the outage."""

PLAIN: Json = {"model": SIMULATED, "prompt": "x = ", "max_tokens": 64, "seed": 5}

Harm = Callable[[ChaosCluster], Awaitable[None]]


async def killed_and_restarted(cluster: ChaosCluster) -> None:
    await asyncio.to_thread(cluster.state.kill)
    await asyncio.sleep(OUTAGE_SECONDS)
    await asyncio.to_thread(cluster.state.start)


async def paused(cluster: ChaosCluster) -> None:
    cluster.state.freeze()
    await asyncio.sleep(OUTAGE_SECONDS)
    cluster.state.thaw()


async def cut_off(cluster: ChaosCluster) -> None:
    cluster.network.partition()
    await asyncio.sleep(OUTAGE_SECONDS)
    cluster.network.mend()


async def silent(cluster: ChaosCluster) -> None:
    cluster.network.pause()
    await asyncio.sleep(OUTAGE_SECONDS)
    cluster.network.resume()


async def slow(cluster: ChaosCluster) -> None:
    cluster.network.slow_down(0.2)
    await asyncio.sleep(OUTAGE_SECONDS)
    cluster.network.slow_down(0.0)


async def reset(cluster: ChaosCluster) -> None:
    cluster.network.reset()


HARMS = [killed_and_restarted, paused, cut_off, silent, slow, reset]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.usefixtures("nemesis")
async def test_requests_under_way_go_on(harm: Harm, cluster: ChaosCluster, client: Client) -> None:
    """Plain ones, which may begin in the outage too, and stored ones from before it."""
    lasting = [body | LASTING | {"store_stream": index < 4} for index, body in enumerate(bodies(SIMULATED, SEED, 8))]
    plain = [body | {"store_stream": False} for body in bodies(SIMULATED, SEED + 1, 6, most=160)]
    load, expected = await Load.of(client, plain, clients=3, seed=SEED), await client.answers(lasting)
    seen = [Seen(f"lasting {number}", body) for number, body in enumerate(lasting)]
    tellings = [asyncio.create_task(client.tell(one)) for one in seen]

    async def mischief() -> None:
        await asyncio.sleep(RUN_UP_SECONDS)
        await harm(cluster)

    stories = await load.during(mischief())
    await asyncio.gather(*tellings)
    stories += [one.story(answer) for one, answer in zip(seen, expected, strict=True)]
    assert [fault for story in stories for fault in faults(story)] == []
    records = [(await client.http.get(f"/v1/requests/{one.id}")).json() for one in seen[:4]]
    assert {record["status"] for record in records} == {"completed"}


@pytest.mark.usefixtures("nemesis")
async def test_what_cannot_be_stored_is_refused_and_the_rest_is_not(cluster: ChaosCluster, client: Client) -> None:
    expected = await client.answer(PLAIN)
    cluster.network.partition()
    try:
        seen = await client.tell(Seen("plain", PLAIN))
        refused = await client.http.post("/v1/completions", json=PLAIN | {"stream": True, "store_stream": True})
    finally:
        cluster.network.mend()
    assert faults(seen.story(expected)) == ()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
