"""Several gateways at one queue, and what they do without a store."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import pytest
from redis import Redis

from deployments.state.acl import acl_rule
from deployments.telemetry.metrics import MemoryMetrics
from deployments.tenancy.queue.calls import queue_keys
from deployments.tenancy.queue.queue import FairQueue, Waiting
from deployments.tenancy.queue.redis import RETRY_SECONDS, RedisQueue
from tests.deployments.state.servers import Place
from tests.deployments.tenancy.queue.gateways import LEASE, MODEL, connected, enters, gateway, soon, until
from tests.deployments.tenancy.queue.requests import Time, settle, waiting


@pytest.fixture
def admin(valkey: Place) -> Iterator[Redis]:
    """A client that may look at everything."""
    with Redis(port=valkey.servers[0].port, db=1) as client:
        yield client


PLACES = 4
"""Of requests that run at one time, where there are several."""


def one_place() -> int:
    return 1


@contextmanager
def away(place: Place) -> Iterator[None]:
    """Meanwhile the store refuses every call."""
    name, *rule = acl_rule(place.address).split()
    place.servers[0].say("ACL", "SETUSER", name, "-@all")
    try:
        yield
    finally:
        place.servers[0].say("ACL", "SETUSER", name, *rule)


async def test_a_turn_comes_from_another_gateway(valkey: Place) -> None:
    time = Time()
    async with gateway(valkey, "one", one_place, time) as one, gateway(valkey, "two", one_place, time) as two:
        first, second = waiting(), waiting("rival")
        await soon(one.turn(first))
        turn = await enters(two, second)
        assert await one.state() == await two.state()
        await one.end(first, 8)
        await soon(turn)
        await two.end(second, 8)
        assert (await one.state()).running == 0


async def test_an_uncontended_request_costs_two_calls(valkey: Place, admin: Redis) -> None:
    clients = connected(valkey)
    queue = RedisQueue(clients, MODEL, "one", one_place, Time(), MemoryMetrics(), LEASE)
    admin.config_resetstat()
    request = waiting()
    await queue.turn(request)
    await queue.end(request, 8)
    assert admin.info("commandstats")["cmdstat_eval"]["calls"] == 2
    assert "cmdstat_xread" not in admin.info("commandstats")
    await clients.close()


@pytest.mark.parametrize(("weights", "flood"), [((1.0, 1.0), 10), ((1.0, 3.0), 1), ((3.0, 1.0), 10)])
async def test_shares_hold_for_one_that_uses_one_gateway_and_one_that_uses_all(
    valkey: Place, weights: tuple[float, float], flood: int
) -> None:
    """Of the work done until the first of the two has had everything it wanted, each had its share, but for the turns
    that are given and not noticed yet, and the one that is next.
    """
    time, done = Time(), Counter[str]()
    served: list[dict[str, int]] = []

    async with AsyncExitStack() as stack:
        queues = [await stack.enter_async_context(gateway(valkey, f"g{n}", lambda: PLACES, time)) for n in range(3)]

        async def run(queue: FairQueue, request: Waiting, last: int) -> None:
            await queue.turn(request)
            done[request.tenant] += request.work
            if not served and done[request.tenant] == last:
                served.append(dict(done))
            await queue.end(request, request.work)

        quiet = [waiting("quiet", 2, weight=weights[0]) for _ in range(240)]
        loud = [waiting("loud", 1, weight=weights[1]) for _ in range(240 * flood)]
        blockers = [waiting("first") for _ in range(PLACES)]
        for blocker in blockers:
            await queues[0].turn(blocker)
        runs = [asyncio.create_task(run(queues[0], each, 2 * len(quiet))) for each in quiet]
        runs += [asyncio.create_task(run(queues[n % 3], each, len(loud))) for n, each in enumerate(loud)]
        await until(queues[0], lambda state: state.waiting["default"] == len(runs))
        for blocker in blockers:
            await queues[0].end(blocker, 0)
        async with asyncio.timeout(60):
            await asyncio.gather(*runs)
        state = await queues[1].state()
    assert (state.running, sum(state.waiting.values())) == (0, 0)
    quiet_had, loud_had = served[0]["quiet"] / weights[0], served[0]["loud"] / weights[1]
    assert abs(quiet_had - loud_had) <= (PLACES + 1) * max(2 / weights[0], 1 / weights[1])


async def test_what_a_gateway_leaves_behind_is_free_when_its_lease_ends(valkey: Place) -> None:
    time, clients = Time(), connected(valkey)
    one = RedisQueue(clients, MODEL, "one", one_place, time, MemoryMetrics(), LEASE)
    await one.turn(waiting())
    orphan = await enters(one, waiting())
    async with gateway(valkey, "two", one_place, time) as two:
        turn = await enters(two, waiting("rival"))
        ends = time.now + LEASE
        await time.run_until(lambda: time.now > ends - 1.0)
        assert not turn.done()
        await time.run_until(turn.done)
        assert ends < time.now <= ends + LEASE / 3 + 1.0
        state = await two.state()
        assert (state.running, state.waiting["default"]) == (1, 0)
        assert state.counters.get("acme", 0.0) == 0.0
    orphan.cancel()
    await asyncio.gather(orphan, return_exceptions=True)
    await clients.close()


async def test_what_is_renewed_stays(valkey: Place) -> None:
    time = Time()
    async with gateway(valkey, "one", one_place, time) as one, gateway(valkey, "two", one_place, time) as two:
        first = waiting()
        await soon(one.turn(first))
        turn = await enters(two, waiting())
        ends = time.now + 3 * LEASE
        await time.run_until(lambda: time.now > ends, sleepers=2)
        state = await one.state()
        assert (state.running, state.waiting["default"]) == (1, 1)
        await one.end(first, 8)
        await soon(turn)


async def test_a_request_that_another_gateway_has_taken_over_is_not_given_back_by_the_first(valkey: Place) -> None:
    time = Time()
    async with gateway(valkey, "one", one_place, time) as one, gateway(valkey, "two", one_place, time) as two:
        running, queued = waiting(work=8), waiting(work=8)
        await soon(one.turn(running))
        turn = await enters(one, queued)
        await two.resume(running)
        again = asyncio.create_task(two.turn(queued))
        await settle()
        turn.cancel()
        await asyncio.gather(turn, return_exceptions=True)
        assert (await two.state()).waiting["default"] == 1
        await two.end(running, 8)
        await soon(again)
        await renewed(one, two)
        assert (await one.state()).running == 1


async def test_without_a_store_each_gateway_gives_its_share_and_returns_to_the_queue(
    valkey: Place, caplog: pytest.LogCaptureFixture
) -> None:
    time = Time()
    caplog.set_level(logging.INFO, "deployments.tenancy.queue")
    async with gateway(valkey, "one", lambda: 4, time) as one, gateway(valkey, "two", lambda: 4, time) as two:
        await renewed(one, two, one)
        running = [waiting(work=2) for _ in range(4)]
        for request in running:
            await soon(one.turn(request))
        turns = {request.id: (request, await enters(one, request)) for request in (waiting(work=3) for _ in range(3))}
        with away(valkey):
            last = waiting(work=3)
            turns[last.id] = last, asyncio.create_task(one.turn(last))
            await until(one, lambda state: state.waiting["default"] == 4)
            for request in running[:3]:
                await one.end(request, 2)
            await settle()
            assert sum(turn.done() for _, turn in turns.values()) == 1
            assert (await one.state()).running == 2
            one.check_integrity()
        back = time.now + RETRY_SECONDS
        await time.run_until(lambda: time.now > back, sleepers=2)
        await until(two, lambda state: (state.running, state.waiting["default"]) == (4, 1))
        assert [record.levelname for record in caplog.records if "tiny" in record.message].count("WARNING") <= 2
        done = [request for request, turn in turns.values() if turn.done()]
        for request in [running[3], *done]:
            await one.end(request, request.work)
        await soon(asyncio.gather(*(turn for _, turn in turns.values())))
        for request, _ in turns.values():
            await one.end(request, 3)
        state = await two.state()
        assert (state.running, sum(state.waiting.values())) == (0, 0)
        assert state.counters["acme"] == 4 * 2 + 4 * 3


async def test_a_store_that_has_forgotten_all_is_told_again(valkey: Place) -> None:
    time = Time()
    async with gateway(valkey, "one", lambda: 2, time) as one, gateway(valkey, "two", lambda: 2, time) as two:
        await renewed(one, two)
        running = [waiting(work=5), waiting(work=5)]
        for queue, request in zip((one, two), running, strict=True):
            await soon(queue.turn(request))
        turns = [await enters(queue, waiting("rival")) for queue in (one, two)]
        valkey.flush()
        renewed_at = time.now + LEASE / 3
        await time.run_until(lambda: time.now > renewed_at, sleepers=2)
        await until(one, lambda state: state.running + state.waiting["default"] == 4)
        await one.end(running[0], 5)
        await two.end(running[1], 5)
        await soon(asyncio.gather(*turns))


async def test_thousands_wait_and_get_their_turns(valkey: Place) -> None:
    time, places = Time(), [0]
    async with gateway(valkey, "one", lambda: places[0], time) as one:
        turns = [asyncio.create_task(one.turn(waiting(f"tenant-{n % 50}"))) for n in range(1000)]
        await until(one, lambda state: state.waiting["default"] == 1000)
        places[0] = 700
        await time.run_until(lambda: sum(turn.done() for turn in turns) == 700)
        assert (await one.state()).waiting["default"] == 300
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
        assert (await one.state()).waiting["default"] == 0


async def test_all_names_share_a_slot_and_expire(valkey: Place, admin: Redis) -> None:
    time = Time()
    async with gateway(valkey, "one", one_place, time) as one, gateway(valkey, "two", one_place, time) as two:
        first = waiting(deadline=time.now + 99)
        await soon(one.turn(first))
        turn = await enters(two, waiting(deadline=time.now + 99))
        await one.end(first, 8)
        await soon(turn)
        found = {key.decode(): admin.ttl(key) for key in admin.scan_iter()}
    assert set(found) <= {*queue_keys(MODEL), *(f"dllm:{{queue:{MODEL}}}:turns:{owner}" for owner in ("one", "two"))}
    assert all(key.startswith(f"dllm:{{queue:{MODEL}}}:") for key in found)
    assert len(found) >= 5
    assert all(0 < ttl <= 600 for ttl in found.values())


async def renewed(*queues: RedisQueue) -> None:
    """Have each of them renew its leases."""
    for queue in queues:
        await queue._renew()
