"""How long the limits in memory keep what they count."""

from __future__ import annotations

from deployments.tenancy.limits.bounds import COUNTS_SECONDS, KEEP_SECONDS
from deployments.tenancy.limits.limiter import Charge
from deployments.tenancy.limits.memory import MemoryLimiter
from tests.deployments.tenancy.limits.limiters import DAY, DECEMBER, LEASE, NOON, Clock, remaining, tenant


async def test_a_reservation_that_nobody_renews_is_forgotten_and_stays_spent() -> None:
    clock = Clock()
    limiter, acme = MemoryLimiter(clock, LEASE), tenant(work_per_month=100)
    await limiter.reserve(acme, "kept", Charge(work=10))
    await limiter.reserve(acme, "lost", Charge(work=60))
    clock.now += KEEP_SECONDS / 2
    await limiter.renew([("acme", "kept")])
    clock.now = NOON + KEEP_SECONDS - 0.001
    assert limiter.holds("acme", "lost")
    clock.now = NOON + KEEP_SECONDS
    assert not limiter.holds("acme", "lost")
    await limiter.settle("acme", "lost", Charge())
    await limiter.settle("acme", "kept", Charge())
    assert await remaining(limiter, acme) == {"work_per_month": 40}


async def test_the_counts_of_a_tenant_outlive_the_longest_month() -> None:
    clock = Clock(DECEMBER)
    limiter, acme = MemoryLimiter(clock, LEASE), tenant(work_per_month=100)
    await limiter.reserve(acme, "r", Charge(work=60))
    clock.now = DECEMBER + 31 * DAY - 0.001
    assert await remaining(limiter, acme) == {"work_per_month": 40}


async def test_a_tenant_that_is_gone_leaves_nothing() -> None:
    clock = Clock(NOON)
    limiter = MemoryLimiter(clock, LEASE)
    await limiter.reserve(tenant(), "r", Charge(work=60))
    clock.now += COUNTS_SECONDS - 0.001
    await limiter.levels("other", tenant().limits)
    assert len(limiter) == 1
    clock.now += 0.001
    await limiter.levels("other", tenant().limits)
    assert len(limiter) == 0
