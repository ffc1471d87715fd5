"""A gateway, and the proxy before it, are killed; stored requests outlive both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.chaos.clients import Client, Json, Seen
from tests.chaos.clusters import REAL, SIMULATED, ChaosCluster
from tests.chaos.conftest import SEED
from tests.chaos.history import Story, faults
from tests.chaos.load import bodies
from tests.chaos.nemesis import Nemesis, until

pytestmark = pytest.mark.chaos

OUTAGE_SECONDS = 15.0
"""Three failed checks of a proxy and its start, on a machine that does other things too."""

Killer = Callable[[Nemesis], None]


def killed_gateway(nemesis: Nemesis) -> None:
    nemesis.kill_process(nemesis.gateways()[0])


def killed_gateways(nemesis: Nemesis) -> None:
    for gateway in nemesis.gateways():
        nemesis.kill_process(gateway)


def killed_proxy(nemesis: Nemesis) -> None:
    for proxy in nemesis.proxies():
        nemesis.kill_process(proxy)


@pytest.mark.parametrize("killer", [killed_gateway, killed_gateways, killed_proxy])
async def test_a_stream_that_was_cut_goes_on_without_a_gap(killer: Killer, nemesis: Nemesis, client: Client) -> None:
    stored = [body | {"store_stream": True, "max_tokens": 320} for body in bodies(SIMULATED, SEED, 8)]
    expected = await client.answers(stored)
    seen = [Seen(f"cut {number}", body) for number, body in enumerate(stored)]
    tellings = [asyncio.create_task(client.tell(one)) for one in seen]
    await until(lambda: all(one.id for one in seen), "a start")
    killer(nemesis)
    await asyncio.gather(*tellings)
    stories = [one.story(answer) for one, answer in zip(seen, expected, strict=True)]
    assert [fault for story in stories for fault in faults(story)] == []
    assert any(_was_cut(story) for story in stories), "nobody noticed"


async def test_a_background_request_outlives_its_gateway(nemesis: Nemesis, client: Client) -> None:
    body: Json = {"model": REAL, "input": "def f(x):", "max_output_tokens": 480, "seed": 3, "temperature": 0.8}
    expected = await client.settled(f"/v1/responses/{(await _respond(client, body))['id']}")
    made = await _respond(client, body)
    await until(lambda: nemesis.running(made["id"], REAL), "a start")
    killed_gateways(nemesis)
    found = await client.settled(f"/v1/responses/{made['id']}")
    assert found["status"] == expected["status"]
    assert _text(found) == _text(expected)
    assert found["usage"]["output_tokens"] == expected["usage"]["output_tokens"]


async def test_a_request_that_nobody_can_go_on_with_is_told_so(nemesis: Nemesis, client: Client) -> None:
    seen = Seen("plain", bodies(SIMULATED, SEED, 1)[0] | {"store_stream": False, "max_tokens": 480})
    telling = asyncio.create_task(client.tell(seen))
    await until(lambda: seen.id and nemesis.running(seen.id, SIMULATED), "a start")
    killed_gateways(nemesis)
    await telling
    assert not seen.has_end

    record = await client.settled(f"/v1/requests/{seen.id}")
    assert (record["status"], record["error_code"]) == ("failed", "gateway_lost")
    await until(lambda: nemesis.running(seen.id, SIMULATED) is None, "the end of a run that nobody hears")


async def test_a_killed_proxy_is_back_soon(nemesis: Nemesis, client: Client) -> None:
    killed_proxy(nemesis)
    killed = time.monotonic()
    await client.get("/health/live")
    assert time.monotonic() - killed < OUTAGE_SECONDS


async def test_a_redeployment_with_fewer_replicas_is_no_error(
    cluster: ChaosCluster, nemesis: Nemesis, client: Client
) -> None:
    model = next(model for model in cluster.config.models if model.id == SIMULATED)
    fewer = model.model_copy(update={"pools": [pool.model_copy(update={"replicas": 2}) for pool in model.pools]})
    models = [fewer if model.id == SIMULATED else model for model in cluster.config.models]
    stored = [body | {"store_stream": True, "max_tokens": 320} for body in bodies(SIMULATED, SEED + 2, 6)]
    expected = await client.answers(stored)
    seen = [Seen(f"moved {number}", body) for number, body in enumerate(stored)]
    tellings = [asyncio.create_task(client.tell(one)) for one in seen]
    await until(lambda: all(one.id for one in seen), "a start")
    try:
        await asyncio.to_thread(cluster.redeploy, cluster.config.model_copy(update={"models": models}))
        await asyncio.gather(*tellings)
    finally:
        await asyncio.to_thread(cluster.redeploy, cluster.config)
    stories = [one.story(answer) for one, answer in zip(seen, expected, strict=True)]
    assert [fault for story in stories for fault in faults(story)] == []


def _was_cut(story: Story) -> bool:
    return any(not reading.whole for reading in story.readings)


async def _respond(client: Client, body: Json) -> Json:
    reply = await client.http.post("/v1/responses", json=body | {"background": True})
    reply.raise_for_status()
    made: Json = reply.json()
    return made


def _text(response: Json) -> str:
    return "".join(part["text"] for item in response["output"] for part in item["content"])
