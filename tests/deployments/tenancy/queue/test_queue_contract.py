"""What every fair queue keeps to: the one of a process, and a gateway's share of the one on real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from deployments.errors import DeadlineExceeded, QueueFull
from deployments.telemetry import names
from deployments.telemetry.metrics import MemoryMetrics
from deployments.tenancy.queue.local import LocalQueue
from deployments.tenancy.queue.queue import FairQueue
from deployments.tenancy.queue.turns import LOOK_SECONDS
from tests.deployments.state.conftest import PlaceOf
from tests.deployments.tenancy.queue.gateways import LABELS, LEASE, MODEL, enters, gateway, served, soon, until
from tests.deployments.tenancy.queue.requests import Time, waiting

STORES = ["memory", "valkey-single", "valkey-cluster"]
REDIS = ["redis-single", "redis-cluster"]


@dataclass
class Places:
    """As many as a test says."""

    count: int = 1

    def __call__(self) -> int:
        return self.count


@dataclass
class Bench:
    """A queue, its places, its time and what it measures."""

    queue: FairQueue
    places: Places
    time: Time
    metrics: MemoryMetrics


@pytest.fixture(params=[*STORES, *(pytest.param(name, marks=pytest.mark.full) for name in REDIS)])
async def bench(request: pytest.FixtureRequest, place_of: PlaceOf) -> AsyncIterator[Bench]:
    places, time, metrics = Places(), Time(), MemoryMetrics()
    if request.param == "memory":
        local = LocalQueue(MODEL, places, time, metrics, sleep=time.sleep)
        async with served(local):
            yield Bench(local, places, time, metrics)
        local.check_integrity()
        return
    place = place_of(request.param)
    place.flush()
    async with gateway(place, "one", places, time, metrics) as queue:
        yield Bench(queue, places, time, metrics)


async def test_a_free_place_is_taken_at_once(bench: Bench) -> None:
    request = waiting(work=8)
    await soon(bench.queue.turn(request))
    state = await bench.queue.state()
    assert (state.running, sum(state.waiting.values()), state.counters) == (1, 0, {"acme": 8.0})
    await bench.queue.end(request, 5)
    await bench.queue.end(request, 5)
    state = await bench.queue.state()
    assert (state.running, state.counters) == (0, {"acme": 5.0})


async def test_the_next_turn_comes_with_the_end_of_the_one_before(bench: Bench) -> None:
    first = waiting()
    await soon(bench.queue.turn(first))
    later = [(request, await enters(bench.queue, request)) for request in (waiting(), waiting())]
    for request, turn in later:
        assert not turn.done()
        await bench.queue.end(first, 8)
        await soon(turn)
        first = request
    await bench.queue.end(first, 8)
    assert (await bench.queue.state()).running == 0


async def test_who_has_had_least_goes_next_and_its_urgent_requests_first(bench: Bench) -> None:
    ahead = waiting("acme", 10)
    await soon(bench.queue.turn(ahead))
    requests = {
        "flex": waiting("rival", 1, band="flex"),
        "first of acme": waiting("acme", 10),
        "last of acme": waiting("acme", 10),
        "late": waiting("rival", 6, deadline=bench.time.now + 50),
        "soon": waiting("rival", 6, deadline=bench.time.now + 20),
        "urgent": waiting("rival", 6, band="interactive"),
    }
    turns = {name: await enters(bench.queue, request) for name, request in requests.items()}
    order: list[str] = []
    while turns:
        await bench.queue.end(ahead, ahead.work)
        done, _ = await asyncio.wait(turns.values(), return_when=asyncio.FIRST_COMPLETED, timeout=20)
        order += [name for name, turn in turns.items() if turn in done]
        ahead = requests[order[-1]]
        del turns[order[-1]]
    assert order == ["urgent", "soon", "first of acme", "late", "last of acme", "flex"]


async def test_a_tenant_may_have_so_many_waiting_and_no_more(bench: Bench) -> None:
    await soon(bench.queue.turn(waiting(cap=1)))
    turn = await enters(bench.queue, waiting(cap=1))
    bench.queue.check(waiting("rival", cap=1))
    with pytest.raises(QueueFull):
        await bench.queue.turn(waiting(cap=1))
    with pytest.raises(QueueFull):
        bench.queue.check(waiting(cap=1))
    bench.queue.check(waiting("rival", cap=1))
    other = await enters(bench.queue, waiting("rival", cap=1))
    assert (await bench.queue.state()).waiting == {"interactive": 0, "default": 2, "flex": 0}
    await cancelled(turn, other)


async def test_a_request_leaves_at_its_deadline(bench: Bench) -> None:
    await soon(bench.queue.turn(waiting()))
    with pytest.raises(DeadlineExceeded):
        await bench.queue.turn(waiting(deadline=bench.time.now))
    turn = await enters(bench.queue, waiting(deadline=bench.time.now + 5))
    bench.time.pass_by(4)
    assert not turn.done()
    bench.time.pass_by(1)
    with pytest.raises(DeadlineExceeded):
        await soon(turn)
    await until(bench.queue, lambda state: not state.waiting["default"])


async def test_who_is_cancelled_leaves_the_queue(bench: Bench) -> None:
    first, last = waiting(), waiting()
    await soon(bench.queue.turn(first))
    middle = await enters(bench.queue, waiting())
    turn = await enters(bench.queue, last)
    await cancelled(middle)
    assert (await bench.queue.state()).waiting["default"] == 1
    await bench.queue.end(first, 0)
    await soon(turn)
    assert (await bench.queue.state()).running == 1


async def test_who_is_cancelled_when_its_turn_comes_gives_the_place_back_and_pays_nothing(bench: Bench) -> None:
    first = waiting(work=4)
    await soon(bench.queue.turn(first))
    turn = await enters(bench.queue, waiting(work=8))
    await bench.queue.end(first, 4)
    await cancelled(turn)
    state = await bench.queue.state()
    assert (state.running, sum(state.waiting.values()), state.counters) == (0, 0, {"acme": 4.0})


async def test_what_ran_elsewhere_goes_on_without_waiting(bench: Bench) -> None:
    await soon(bench.queue.turn(waiting()))
    resumed = waiting("rival", 6)
    await bench.queue.resume(resumed)
    await bench.queue.resume(resumed)
    state = await bench.queue.state()
    assert (state.running, state.counters) == (2, {"acme": 8.0, "rival": 6.0})
    await bench.queue.end(resumed, 6)
    assert (await bench.queue.state()).running == 1


async def test_places_that_come_up_are_taken(bench: Bench) -> None:
    bench.places.count = 0
    turns = [await enters(bench.queue, waiting()) for _ in range(3)]
    bench.places.count = 2
    bench.time.pass_by(LOOK_SECONDS)
    await soon(turns[0])
    await soon(turns[1])
    assert not turns[2].done()
    await cancelled(turns[2])


async def test_waits_and_fairness_are_measured(bench: Bench) -> None:
    first = waiting(band="interactive")
    await soon(bench.queue.turn(first))
    acme, rival = [await enters(bench.queue, waiting(tenant)) for tenant in ("acme", "rival")]
    bench.time.pass_by(LEASE)
    await until(bench.queue, lambda _: 2.0 in bench.metrics.values[names.QUEUE_DEPTH.name, *LABELS, "default"])
    assert bench.metrics.last(names.FAIRNESS_MAX_LAG, *LABELS) == 8.0
    assert bench.metrics.last(names.FAIRNESS_JAIN, *LABELS) == 1.0
    assert bench.metrics.total(names.QUEUE_WAIT, *LABELS, "interactive") == 0.0
    bench.places.count = 3
    await bench.queue.end(first, 8)
    await soon(acme)
    await soon(rival)
    assert bench.metrics.values[names.QUEUE_WAIT.name, *LABELS, "default"] == [LEASE, LEASE]


async def cancelled(*turns: asyncio.Task[None]) -> None:
    for turn in turns:
        turn.cancel()
        with suppress(asyncio.CancelledError):
            await turn
