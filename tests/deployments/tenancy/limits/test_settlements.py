from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest

from deployments.state.store import StateUnavailable
from deployments.tenancy.limits.limiter import Charge
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.limits.settlements import RETRY_SECONDS, Settlements
from tests.deployments.tenancy.limits.limiters import LEASE, Clock, remaining, tenant, until

ACME = tenant(work_per_day=100)


class Failing(MemoryLimiter):
    """Does not answer the first ``failures`` calls."""

    failures = 0

    async def settle(self, tenant: str, reservation: str, spent: Charge) -> None:
        if self.failures:
            self.failures -= 1
            raise StateUnavailable("lost")
        await super().settle(tenant, reservation, spent)


@pytest.fixture
async def limiter() -> Failing:
    """Has three reservations."""
    limiter = Failing(Clock(), LEASE)
    for number in range(3):
        await limiter.reserve(ACME, f"r{number}", Charge(work=30))
    return limiter


async def test_what_fails_is_settled_later_and_only_once(limiter: Failing) -> None:
    limiter.failures = 2
    settlements = Settlements(limiter)
    for number in range(3):
        for spent in (5, 30):
            settlements.add("acme", f"r{number}", Charge(work=spent))
    for _ in range(2):
        with pytest.raises(StateUnavailable):
            await settlements.settle()
        assert settlements.pending == 3
    await settlements.settle()
    assert settlements.pending == 0
    assert await remaining(limiter, ACME) == {"work_per_day": 85}


async def test_serving_tries_again_after_a_pause_and_then_waits_for_more(limiter: Failing) -> None:
    limiter.failures = 2
    pauses = list[float]()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    settlements = Settlements(limiter, sleep=sleep)
    serving = asyncio.create_task(settlements.serve())
    for number in range(3):
        settlements.add("acme", f"r{number}", Charge())
        await until(lambda: settlements.pending == 0)
    assert pauses == [RETRY_SECONDS, RETRY_SECONDS]
    assert await remaining(limiter, ACME) == {"work_per_day": 100}
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def test_the_oldest_is_dropped_for_one_too_many(limiter: Failing, caplog: pytest.LogCaptureFixture) -> None:
    settlements = Settlements(limiter, most_pending=2)
    with caplog.at_level(logging.ERROR):
        for number in range(3):
            settlements.add("acme", f"r{number}", Charge())
    assert settlements.pending == 2
    assert caplog.messages == ["reservation r0 of tenant acme is dropped before it is settled"]
    await settlements.settle()
    assert await remaining(limiter, ACME) == {"work_per_day": 70}
