"""Pools that follow their load through the real Ray Serve, from nothing and back to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from ray import serve

from cluster.hosting import ray_hosting
from deployments.telemetry.names import REPLICAS, SCALING_DECISIONS
from tests.deployments.autoscaling.grown import (
    FAILING,
    GROWING,
    SLEEPER,
    Grown,
    Json,
    body,
    configuration,
    stops_by_work,
)

pytestmark = pytest.mark.full

LONG = 480
"""Tokens of an answer that takes longer than it takes to shrink."""


@pytest.fixture(scope="module")
def grown(valkey_url: str) -> Iterator[Grown]:
    config = configuration()
    with ray_hosting(config, valkey_url):
        yield Grown(config)


async def test_a_pool_without_replicas_wakes_for_the_first_request_and_sleeps_again(grown: Grown) -> None:
    async with grown.client() as client:
        ready = await client.get("/health/ready")
        assert ready.json()["models"][SLEEPER], "what may be asleep is ready"
        for times in (1, 2):
            answer = await client.post("/v1/completions", json=body(SLEEPER, 1))
            assert answer.status_code == 200, answer.text
            await grown.until(partial(has_slept, grown, times), "sleep")
    changes = (await grown.pools())[SLEEPER]["changes"]
    assert any((change["before"], change["after"]) == (0, 1) for change in changes), "the queue woke it"


async def has_slept(grown: Grown, times: int) -> bool:
    pool = (await grown.pools())[SLEEPER]
    slept = [change["text"] for change in pool["changes"] if change["after"] == 0]
    assert all("idle for" in text for text in slept)
    return len(slept) == times and pool["state"]["replicas"] == 0


async def test_a_deadline_ends_the_wait_for_a_pool_that_sleeps(grown: Grown) -> None:
    await grown.until_replicas(SLEEPER, 0)
    async with grown.client() as client:
        late = await client.post("/v1/completions", json=body(SLEEPER, 2), headers={"x-dllm-deadline-ms": "30"})
    assert late.status_code == 504, late.text
    assert late.json()["error"]["code"] == "deadline_exceeded"


async def ask(client: httpx.AsyncClient, asked: Json) -> str:
    reply = await client.post("/v1/completions", json=asked)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["choices"][0]["text"])


async def grow(grown: Grown, client: httpx.AsyncClient) -> None:
    """Ask without a pause until there are three replicas."""
    over = asyncio.Event()

    async def keep_asking(seed: int) -> None:
        while not over.is_set():
            await ask(client, body(GROWING, seed))

    async with asyncio.TaskGroup() as group:
        for seed in range(16):
            group.create_task(keep_asking(seed))
        await grown.until_replicas(GROWING, 3)
        over.set()


async def test_no_request_is_lost_when_replicas_are_stopped_under_it(grown: Grown) -> None:
    """Three at a time leave one of four places free, so that one replica is enough for them."""
    requests = [body(GROWING, seed, LONG) for seed in range(3)]
    over = asyncio.Event()

    async def keep_asking(client: httpx.AsyncClient, asked: Json, expected: str) -> int:
        times = 0
        while not over.is_set():
            assert await ask(client, asked) == expected
            times += 1
        return times

    async with grown.client() as client:
        expected = await asyncio.gather(*(ask(client, each) for each in requests))
        await grow(grown, client)
        before = await grown.migrations(GROWING)
        asking = [asyncio.create_task(keep_asking(client, *each)) for each in zip(requests, expected, strict=True)]
        try:
            await grown.until_replicas(GROWING, 1)
        finally:
            over.set()
            times = await asyncio.gather(*asking)
        after = await grown.migrations(GROWING)
    assert min(times) > 0
    assert after.get("resumed", 0) > before.get("resumed", 0), "a replica that was stopped had a request"
    assert after.get("lost", 0) == before.get("lost", 0) == 0


async def test_behind_a_storm_of_disconnects_every_count_is_zero(grown: Grown) -> None:
    async def hang_up(client: httpx.AsyncClient, seed: int) -> None:
        asked = body(GROWING, seed, LONG) | {"stream": True}
        async with client.stream("POST", "/v1/completions", json=asked) as reply:
            assert reply.status_code == 200
            if seed % 2:
                await anext(reply.aiter_bytes())

    async with grown.client() as client:
        for wave in range(3):
            storm = [asyncio.create_task(hang_up(client, 100 * wave + seed)) for seed in range(24)]
            await asyncio.wait(storm, timeout=1.0)
            for each in storm:
                each.cancel()
            told = await asyncio.gather(*storm, return_exceptions=True)
            assert not [each for each in told if isinstance(each, Exception)], told

    async def none_is_left() -> bool:
        return not any((await grown.counts(GROWING)).values())

    await grown.until(none_is_left, "an end of all requests")
    await grown.until_replicas(GROWING, 1)


async def test_a_policy_that_fails_holds_up_nobody(grown: Grown) -> None:
    """Ray Serve's control loop goes through all applications, and an error in a policy would end it."""

    class Other:
        def __call__(self) -> str:
            return "served"

    other = serve.deployment(Other, name="other", ray_actor_options={"num_cpus": 0}).bind()
    handle = await asyncio.to_thread(serve.run, other, name="other", route_prefix=None)
    try:
        assert await handle.remote() == "served"
    finally:
        await asyncio.to_thread(serve.delete, "other")
    pool = (await grown.pools())[FAILING]
    assert pool["last"]["after"] == 1
    assert "failed with RuntimeError" in pool["last"]["text"]


async def test_the_controller_tells_what_it_decides_and_stops_replicas_by_their_work(grown: Grown) -> None:
    wanted = [each for each in await grown.measured(REPLICAS) if each.labels["state"] == "wanted"]
    assert {each.labels["model"]: each.value for each in wanted}.keys() == {SLEEPER, GROWING, FAILING}
    assert {each.labels["process"] for each in wanted} == {"controller"}
    assert sum(each.value for each in await grown.measured(SCALING_DECISIONS)) > 0
    assert await asyncio.to_thread(stops_by_work)
