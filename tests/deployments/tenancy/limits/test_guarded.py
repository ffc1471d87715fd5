from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress

import pytest

from cluster.valkey import embedded_valkey
from deployments.errors import ConcurrencyExceeded, RateLimitExceeded, ServingError, Unavailable, WorkExceedsLimit
from deployments.state.address import StateAddress
from deployments.state.client import CallSettings
from deployments.state.connect import _client
from deployments.state.store import StateUnavailable
from deployments.telemetry.metrics import MemoryMetrics
from deployments.telemetry.names import LIMIT_DECISIONS
from deployments.tenancy.limits.breaker import PAUSE_SECONDS
from deployments.tenancy.limits.guarded import GuardedLimiter, WithoutState, part_of
from deployments.tenancy.limits.limiter import Charge, Levels, Limiter
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.limits.redis import RedisLimiter
from deployments.tenancy.tenant import Limits, Tenant
from tests.deployments.tenancy.limits.limiters import LEASE, Clock, left, remaining, tenant, until

ACME = tenant(requests_per_minute=60, work_per_minute=600, concurrency=9)
ONE = Charge(requests=1, work=10)


class Shared(MemoryLimiter):
    """A place that can be lost. With ``deaf`` it does what it is asked, and nobody hears its answer."""

    is_lost = False
    is_deaf = False
    calls = 0

    def _ask(self) -> None:
        self.calls += 1
        if self.is_lost:
            raise StateUnavailable("lost")

    def _answer(self) -> None:
        if self.is_deaf:
            raise StateUnavailable("no answer came")

    async def reserve(self, tenant: Tenant, reservation: str, charge: Charge, concurrency: int = 1) -> Levels:
        self._ask()
        levels = await super().reserve(tenant, reservation, charge, concurrency)
        self._answer()
        return levels

    async def renew(self, reservations: Sequence[tuple[str, str]]) -> None:
        self._ask()
        await super().renew(reservations)

    async def settle(self, tenant: str, reservation: str, spent: Charge) -> None:
        self._ask()
        await super().settle(tenant, reservation, spent)

    async def levels(self, tenant: str, limits: Limits) -> Levels:
        self._ask()
        return await super().levels(tenant, limits)


class Scene:
    """A gateway's limiter, one of ``gateways``, and what it counts with."""

    def __init__(self, without_state: WithoutState = "local", gateways: int = 3) -> None:
        self.clock, self.metrics, self.gateways = Clock(), MemoryMetrics(), gateways
        self.shared = Shared(self.clock, LEASE)
        self.limiter = GuardedLimiter(
            self.shared, lambda: self.gateways, self.clock, without_state, self.metrics, LEASE
        )

    async def refusal(self, tenant: Tenant = ACME, charge: Charge = ONE, places: int = 1) -> ServingError:
        with pytest.raises(ServingError) as raised:
            await self.limiter.reserve(tenant, "refused", charge, places)
        return raised.value


def guarded(shared: Limiter, clock: Clock) -> GuardedLimiter:
    """One of two gateways that count alone when ``shared`` is lost, and ask it again without a pause."""
    return GuardedLimiter(shared, lambda: 2, clock, "local", MemoryMetrics(), LEASE, sleep=no_pause)


async def no_pause(seconds: float) -> None:
    await asyncio.sleep(0)


async def served(limiter: GuardedLimiter) -> None:
    """Serve until nothing is left to settle."""
    serving = asyncio.create_task(limiter.serve())
    await until(lambda: limiter.unsettled == 0)
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def test_as_long_as_the_shared_place_answers_it_decides() -> None:
    scene = Scene()
    levels = await scene.limiter.reserve(ACME, "r", ONE)
    assert (levels.mode, levels) == ("shared", await scene.shared.levels("acme", ACME.limits))
    error = await scene.refusal(charge=Charge(requests=60))
    assert "limits_mode" not in error.details
    await scene.limiter.settle("acme", "r", Charge(requests=1))
    assert await scene.limiter.levels("acme", ACME.limits) == await scene.shared.levels("acme", ACME.limits)
    assert not scene.limiter.is_degraded


async def test_deny_refuses_every_request_as_the_services_fault() -> None:
    scene = Scene("deny")
    scene.shared.is_lost = True
    for _ in range(2):
        error = await scene.refusal()
        assert (type(error), error.status, error.retry_after) == (Unavailable, 503, 1.0)
    with pytest.raises(Unavailable):
        await scene.limiter.levels("acme", ACME.limits)
    assert scene.metrics.total(LIMIT_DECISIONS, "state", "refused", "deny") == 2


async def test_local_counts_this_gateways_part() -> None:
    scene = Scene(gateways=3)
    scene.shared.is_lost = True
    levels = await scene.limiter.reserve(ACME, "first", ONE)
    assert (levels.mode, left(levels)) == (
        "local",
        {"requests_per_minute": 19, "work_per_minute": 190, "concurrency": 2},
    )
    assert await scene.limiter.levels("acme", ACME.limits) == levels
    for id in ("second", "third"):
        await scene.limiter.reserve(ACME, id, ONE)
    error = await scene.refusal()
    assert (type(error), error.details["limit"], error.details["limits_mode"]) == (
        ConcurrencyExceeded,
        "concurrency",
        "local",
    )
    await scene.limiter.settle("acme", "third", Charge(requests=1))
    assert await remaining(scene.limiter, ACME) == {
        "requests_per_minute": 17,
        "work_per_minute": 180,
        "concurrency": 1,
    }


async def test_the_parts_of_all_gateways_are_the_limit() -> None:
    """Three gateways that have lost the store admit a limit together, and not more."""
    scenes = [Scene(gateways=3) for _ in range(3)]
    admitted = 0
    for scene in scenes:
        scene.shared.is_lost = True
        for number in range(60):
            with suppress(RateLimitExceeded):
                await scene.limiter.reserve(tenant(requests_per_minute=60), f"r{number}", ONE)
                admitted += 1
    assert admitted == 60


async def test_local_refuses_what_fits_the_limit_and_no_part_as_the_services_fault() -> None:
    scene = Scene(gateways=3)
    scene.shared.is_lost = True
    assert type(await scene.refusal(charge=Charge(work=201))) is Unavailable
    assert type(await scene.refusal(places=4)) is Unavailable
    error = await scene.refusal(charge=Charge(work=601))
    assert (type(error), str(error)) == (
        WorkExceedsLimit,
        "The limit work_per_minute is 600: 601 asked, 600 left. No wait would help: ask for less at once.",
    )


async def test_allow_counts_nothing() -> None:
    scene = Scene("allow")
    scene.shared.is_lost = True
    for number in range(200):
        levels = await scene.limiter.reserve(ACME, f"r{number}", Charge(1000, 1000, 10**9), 50)
        assert levels == Levels({}, "allow")
    await scene.limiter.settle("acme", "r7", Charge())
    assert scene.metrics.total(LIMIT_DECISIONS, "none", "admitted", "allow") == 200


async def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    with caplog.at_level(logging.INFO):
        for is_lost in (False, True, False, True):
            scene.shared.is_lost = is_lost
            for number in range(5):
                scene.clock.now += PAUSE_SECONDS
                await scene.limiter.reserve(tenant(), f"{is_lost}{number}", ONE)
                await scene.limiter.renew([("acme", "unknown")])
                await scene.limiter.levels("acme", ACME.limits)
            assert scene.limiter.is_degraded == is_lost
    lost, back = "limits go on as 'local': lost", "limits are counted by all gateways together again"
    assert caplog.messages == [lost, back, lost]


async def test_every_decision_is_measured() -> None:
    scene = Scene(gateways=3)
    one = tenant(requests_per_minute=3)
    for number in range(3):
        await scene.limiter.reserve(one, f"s{number}", ONE)
    await scene.refusal(one)
    scene.shared.is_lost = True
    await scene.limiter.reserve(one, "l", ONE)
    await scene.refusal(one)
    counted = {labels[1:]: sum(values) for labels, values in scene.metrics.values.items()}
    assert counted == {
        ("none", "admitted", "shared"): 3,
        ("requests_per_minute", "refused", "shared"): 1,
        ("none", "admitted", "local"): 1,
        ("requests_per_minute", "refused", "local"): 1,
    }


async def test_what_was_reserved_together_is_settled_there_later() -> None:
    scene = Scene()
    await scene.limiter.reserve(ACME, "r", Charge(1, 0, 500))
    scene.shared.is_lost = True
    await scene.limiter.settle("acme", "r", Charge(1, 0, 100))
    await scene.limiter.settle("acme", "r", Charge(1, 0, 500))
    assert scene.limiter.unsettled == 1
    scene.shared.is_lost = False
    await served(scene.limiter)
    assert await remaining(scene.shared, ACME) == {
        "requests_per_minute": 59,
        "work_per_minute": 500,
        "concurrency": 9,
    }


async def test_what_was_reserved_alone_is_settled_here() -> None:
    scene = Scene(gateways=1)
    scene.shared.is_lost = True
    await scene.limiter.reserve(ACME, "r", Charge(1, 0, 500))
    scene.shared.is_lost = False
    scene.clock.now += PAUSE_SECONDS
    await scene.limiter.settle("acme", "r", Charge(1, 0, 100))
    assert scene.limiter.is_degraded
    scene.shared.is_lost = True
    assert (await remaining(scene.limiter, ACME))["work_per_minute"] == 510


async def test_what_the_shared_place_took_without_an_answer_is_given_back_there() -> None:
    scene = Scene()
    scene.shared.is_deaf = True
    levels = await scene.limiter.reserve(ACME, "r", ONE)
    assert levels.mode == "local"
    assert (await remaining(scene.shared, ACME))["concurrency"] == 8
    scene.shared.is_deaf = False
    await served(scene.limiter)
    assert await remaining(scene.shared, ACME) == {
        "requests_per_minute": 60,
        "work_per_minute": 600,
        "concurrency": 9,
    }
    await scene.limiter.settle("acme", "r", ONE)
    assert (await remaining(scene.shared, ACME))["requests_per_minute"] == 60


async def test_who_leaves_while_it_is_reserved_or_settled_for_leaves_nothing() -> None:
    class Stuck(Shared):
        is_stuck = True

        async def reserve(self, tenant: Tenant, reservation: str, charge: Charge, concurrency: int = 1) -> Levels:
            levels = await super().reserve(tenant, reservation, charge, concurrency)
            return await asyncio.Future() if self.is_stuck else levels

        async def settle(self, tenant: str, reservation: str, spent: Charge) -> None:
            if self.is_stuck:
                await asyncio.Future()
            await super().settle(tenant, reservation, spent)

    shared = Stuck(Clock(), LEASE)
    limiter = guarded(shared, Clock())
    for call in (limiter.reserve(ACME, "r", ONE), limiter.settle("acme", "r", Charge())):
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        shared.is_stuck = False
        await served(limiter)
        assert (await remaining(shared, ACME))["concurrency"] == 9
        await limiter.reserve(ACME, "r", ONE)
        shared.is_stuck = True


async def test_each_place_is_renewed_where_it_is_held() -> None:
    scene = Scene(gateways=1)
    await scene.limiter.reserve(ACME, "together", ONE)
    scene.shared.is_lost = True
    await scene.limiter.reserve(ACME, "alone", ONE)
    scene.shared.is_lost = False
    for _ in range(3):
        scene.clock.now += LEASE - 1
        await scene.limiter.renew([("acme", "together"), ("acme", "alone")])
    assert (await remaining(scene.shared, ACME))["concurrency"] == 8
    scene.shared.is_lost = True
    assert (await remaining(scene.limiter, ACME))["concurrency"] == 8


async def test_while_the_place_is_lost_one_request_a_second_asks_for_it() -> None:
    scene = Scene("allow")
    scene.shared.is_lost = True
    for number in range(1000):
        scene.clock.now += 0.01
        await scene.limiter.reserve(ACME, f"r{number}", ONE)
        await scene.limiter.renew([("acme", f"r{number}")])
        await scene.limiter.settle("acme", "unknown", ONE)
    assert scene.shared.calls <= 10 / PAUSE_SECONDS + 1


async def test_the_share_follows_the_number_of_gateways() -> None:
    scene = Scene(gateways=0)
    scene.shared.is_lost = True
    assert (await remaining(scene.limiter, ACME))["work_per_minute"] == 600
    scene.gateways = 2
    assert (await remaining(scene.limiter, ACME))["work_per_minute"] == 300


def test_a_part_is_rounded_down_and_never_nothing() -> None:
    limits = Limits(requests_per_minute=7, tokens_per_minute=2, work_per_minute=0, concurrency=None, queued=None)
    assert part_of(limits, 3) == Limits(requests_per_minute=2, tokens_per_minute=1, work_per_minute=0, queued=None)
    assert part_of(limits, 1) == limits


async def test_slow_redis_cannot_slow_admission_beyond_budget() -> None:
    """Of a hundred requests one waits for a server that takes connections and never answers, and that not for long."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = StateAddress.parse(f"redis://127.0.0.1:{server.getsockname()[1]}")
        client = _client(address, CallSettings(timeout_seconds=0.05, retries=0))
        clock = Clock()
        limiter = guarded(RedisLimiter(client, LEASE), clock)
        for _ in range(2):
            clock.now += PAUSE_SECONDS
            for number in range(100):
                assert (await limiter.reserve(tenant(), f"{clock.now}-{number}", ONE)).mode == "local"
            assert connections(server) == 1
        await client.close()


def connections(server: socket.socket) -> int:
    """How many clients have connected since this was last asked."""
    number = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            number += 1
    return number


async def test_a_server_that_is_frozen_and_comes_back() -> None:
    clock = Clock()
    with embedded_valkey() as server:
        client = _client(StateAddress.parse(server.url), CallSettings(timeout_seconds=0.1, retries=0))
        shared = RedisLimiter(client, LEASE, clock)
        limiter = guarded(shared, clock)
        assert left(await limiter.reserve(ACME, "before", ONE))["work_per_minute"] == 590
        os.kill(server.pid, signal.SIGSTOP)
        levels = await limiter.reserve(ACME, "meanwhile", ONE)
        assert (levels.mode, left(levels)["work_per_minute"]) == ("local", 290)
        await limiter.settle("acme", "before", Charge())
        assert limiter.unsettled == 2
        os.kill(server.pid, signal.SIGCONT)
        await served(limiter)
        clock.now += PAUSE_SECONDS
        levels = await limiter.reserve(ACME, "after", ONE)
        assert (levels.mode, left(levels)) == (
            "shared",
            {"requests_per_minute": 59, "work_per_minute": 590, "concurrency": 8},
        )
        await client.close()
