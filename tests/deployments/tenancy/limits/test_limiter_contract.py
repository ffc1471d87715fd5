"""What every limiter keeps to, on the twin in memory and on real servers, there as a user who may do no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from deployments import errors
from deployments.errors import ConcurrencyExceeded, RateLimitExceeded
from deployments.tenancy.limits.limiter import Charge, Level, Limiter
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.limits.redis import RedisLimiter
from deployments.tenancy.tenant import Limits, Tenant
from tests.deployments.state.conftest import PlaceOf
from tests.deployments.tenancy.limits.limiters import (
    DAY,
    DECEMBER,
    HOUR,
    LEASE,
    MIDNIGHT,
    ONE,
    Clock,
    connected,
    left,
    refused,
    remaining,
    tenant,
)

REDIS = (pytest.param(name, marks=pytest.mark.full) for name in ("redis-single", "redis-cluster"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "valkey-single", "valkey-cluster", *REDIS])
async def limiter(request: pytest.FixtureRequest, place_of: PlaceOf, clock: Clock) -> AsyncIterator[Limiter]:
    if request.param == "memory":
        yield MemoryLimiter(clock, LEASE)
        return
    place = place_of(request.param)
    place.flush()
    client = connected(place)
    yield RedisLimiter(client, LEASE, clock)
    await client.close()


async def admitted(limiter: Limiter, tenant: Tenant, charge: Charge = ONE, places: int = 1) -> int:
    """How many reservations in a row are admitted."""
    for number in range(1000):
        try:
            await limiter.reserve(tenant, f"a{number}", charge, places)
        except RateLimitExceeded:
            return number
    raise AssertionError("no limit holds")


async def test_a_tenant_without_limits_is_told_of_none_and_never_refused(limiter: Limiter) -> None:
    nobody = tenant()
    for number in range(3):
        levels = await limiter.reserve(nobody, f"r{number}", Charge(1, 10**9, 10**12), 1000)
        assert (levels.by_limit, levels.mode) == ({}, "shared")


async def test_what_is_reserved_is_what_is_left_less(limiter: Limiter) -> None:
    acme = tenant(
        requests_per_minute=6,
        tokens_per_minute=100,
        work_per_minute=1200,
        concurrency=4,
        work_per_day=5000,
        work_per_month=9000,
    )
    levels = await limiter.reserve(acme, "r", Charge(requests=1, tokens=30, work=400), concurrency=2)
    assert levels.mode == "shared"
    assert levels.by_limit == {
        "requests_per_minute": Level(6, 5, 10.0),
        "tokens_per_minute": Level(100, 70, 18.0),
        "work_per_minute": Level(1200, 800, 20.0),
        "concurrency": Level(4, 2, 1.0),
        "work_per_day": Level(5000, 4600, 12 * HOUR),
        "work_per_month": Level(9000, 8600, 8.5 * DAY),
    }
    assert await limiter.levels("acme", acme.limits) == levels


async def test_nothing_used_is_nothing_to_reset(limiter: Limiter) -> None:
    levels = await limiter.levels("acme", Limits(requests_per_minute=6, concurrency=4, work_per_month=9))
    assert {level.reset_seconds for level in levels.by_limit.values()} == {0.0}


async def test_a_minute_admits_the_limit_at_once_and_then_at_its_pace(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(requests_per_minute=60)
    assert await admitted(limiter, acme) == 60
    error = await refused(limiter, acme)
    assert (type(error), error.retry_after) == (RateLimitExceeded, 1.0)
    clock.now += 0.999
    assert (await refused(limiter, acme)).retry_after == 0.001
    clock.now += 0.001
    await limiter.reserve(acme, "later", ONE)
    assert (await refused(limiter, acme)).retry_after == 1.0


async def test_the_hint_of_a_refusal_is_enough_and_not_too_long(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(work_per_minute=7000)
    await limiter.reserve(acme, "first", Charge(work=6800))
    error = await refused(limiter, acme, Charge(work=1600))
    assert error.retry_after == 12.0
    assert str(error) == "The limit work_per_minute is 7000: 1600 asked, 200 left. Retry in 12 s."
    clock.now += 11.999
    await refused(limiter, acme, Charge(work=1600))
    clock.now += 0.001
    await limiter.reserve(acme, "second", Charge(work=1600))


async def test_a_full_bucket_does_not_fill_further(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(requests_per_minute=60)
    await limiter.reserve(acme, "first", ONE)
    clock.now += HOUR
    assert await admitted(limiter, acme) == 60


@pytest.mark.parametrize(
    "limits",
    [
        {"requests_per_minute": 3},
        {"tokens_per_minute": 3},
        {"work_per_minute": 3},
        {"concurrency": 3},
        {"work_per_day": 3},
        {"work_per_month": 3},
    ],
    ids=lambda limits: next(iter(limits)),
)
async def test_what_exceeds_a_whole_limit_is_never_told_to_wait(limiter: Limiter, limits: dict[str, int]) -> None:
    acme = tenant(**limits)
    (name,) = limits
    await limiter.reserve(acme, "whole", Charge(3, 3, 3), concurrency=3)
    error = await refused(limiter, acme, Charge(4, 4, 4), concurrency=4)
    assert (type(error), error.retry_after) == (errors.WorkExceedsLimit, None)
    assert error.details["limit"] == name
    assert str(error).startswith(f"The limit {name} is 3: 4 asked, 0 left.")


async def test_one_limit_that_refuses_leaves_all_others_untouched(limiter: Limiter) -> None:
    acme = tenant(requests_per_minute=9, work_per_minute=10, concurrency=9, work_per_day=100)
    await limiter.reserve(acme, "first", Charge(1, 0, 8))
    error = await refused(limiter, acme, Charge(1, 0, 3))
    assert error.details["limit"] == "work_per_minute"
    assert error.details["limits"]["requests_per_minute"] == {"limit": 9, "remaining": 8, "reset_seconds": 6.667}
    assert await remaining(limiter, acme) == {
        "requests_per_minute": 8,
        "work_per_minute": 2,
        "concurrency": 8,
        "work_per_day": 92,
    }


async def test_of_several_limits_the_one_that_lasts_longest_is_told(limiter: Limiter) -> None:
    acme = tenant(requests_per_minute=60, tokens_per_minute=60, concurrency=1)
    await limiter.reserve(acme, "first", Charge(59, 60))
    error = await refused(limiter, acme, Charge(2, 5))
    assert (error.details["limit"], error.retry_after) == ("tokens_per_minute", 5.0)


async def test_a_spent_budget_is_not_a_matter_of_retries(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(work_per_day=100, requests_per_minute=60)
    await limiter.reserve(acme, "first", Charge(60, 0, 70))
    error = await refused(limiter, acme, Charge(1, 0, 31))
    assert (type(error), error.status, error.retry_after) == (errors.InsufficientQuota, 402, None)
    assert error.details["reset_at"] == MIDNIGHT
    assert str(error) == "The limit work_per_day is 100: 31 asked, 30 left."
    clock.now = MIDNIGHT - 0.001
    await refused(limiter, acme, Charge(1, 0, 31))
    clock.now = MIDNIGHT
    await limiter.reserve(acme, "tomorrow", Charge(1, 0, 100))


async def test_the_budget_of_a_month_lasts_for_all_its_days(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(work_per_month=100, work_per_day=60)
    await limiter.reserve(acme, "first", Charge(work=60))
    clock.now = MIDNIGHT
    error = await refused(limiter, acme, Charge(work=41))
    assert (type(error), error.details["limit"]) == (errors.InsufficientQuota, "work_per_month")
    assert error.details["reset_at"] == DECEMBER
    clock.now = DECEMBER
    await limiter.reserve(acme, "next", Charge(work=60))
    assert (await remaining(limiter, acme))["work_per_month"] == 40


async def test_a_budget_that_is_set_later_counts_what_was_spent_before(limiter: Limiter) -> None:
    await limiter.reserve(tenant(), "before", Charge(work=70))
    error = await refused(limiter, tenant(work_per_month=100), Charge(work=31))
    assert isinstance(error, errors.InsufficientQuota)


async def test_parallel_requests_have_as_many_places_as_the_limit(limiter: Limiter) -> None:
    acme = tenant(concurrency=5)
    await limiter.reserve(acme, "choices", ONE, concurrency=3)
    await limiter.reserve(acme, "one", ONE)
    error = await refused(limiter, acme, concurrency=2)
    assert (type(error), error.retry_after) == (ConcurrencyExceeded, 1.0)
    await limiter.settle("acme", "choices", ONE)
    assert (await remaining(limiter, acme))["concurrency"] == 4


async def test_lost_lease_expires(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(concurrency=1, work_per_day=100)
    await limiter.reserve(acme, "lost", Charge(work=30))
    clock.now += LEASE - 0.001
    await refused(limiter, acme)
    clock.now += 0.001
    await limiter.reserve(acme, "next", Charge(work=30))
    assert (await remaining(limiter, acme))["work_per_day"] == 40


async def test_renewed_places_stay_taken(limiter: Limiter, clock: Clock) -> None:
    acme, rival = tenant(concurrency=3), replace(tenant(concurrency=1), name="rival")
    await limiter.reserve(acme, "kept", ONE, concurrency=2)
    await limiter.reserve(acme, "lost", ONE)
    await limiter.reserve(rival, "kept", ONE)
    for _ in range(3):
        clock.now += LEASE - 0.001
        await limiter.renew([("acme", "kept"), ("rival", "kept"), ("acme", "unknown")])
    assert (await remaining(limiter, acme))["concurrency"] == 1
    assert (await remaining(limiter, rival))["concurrency"] == 0


async def test_who_renews_too_late_has_its_places_again(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(concurrency=2)
    await limiter.reserve(acme, "slow", ONE)
    clock.now += LEASE
    assert (await remaining(limiter, acme))["concurrency"] == 2
    await limiter.renew([("acme", "slow")])
    assert (await remaining(limiter, acme))["concurrency"] == 1


async def test_a_repeated_reservation_is_taken_once(limiter: Limiter) -> None:
    acme = tenant(requests_per_minute=9, tokens_per_minute=50, concurrency=1, work_per_day=100)
    first = await limiter.reserve(acme, "r", Charge(1, 40, 60))
    assert await limiter.reserve(acme, "r", Charge(1, 40, 60)) == first
    assert await limiter.levels("acme", acme.limits) == first


async def test_what_was_not_spent_is_given_back_once(limiter: Limiter) -> None:
    acme = tenant(requests_per_minute=9, tokens_per_minute=100, work_per_minute=100, concurrency=2, work_per_day=100)
    await limiter.reserve(acme, "r", Charge(1, 40, 60))
    await limiter.reserve(acme, "other", Charge(1, 40, 40))
    settled = {
        "requests_per_minute": 7,
        "tokens_per_minute": 50,
        "work_per_minute": 35,
        "concurrency": 1,
        "work_per_day": 35,
    }
    for _ in range(3):
        await limiter.settle("acme", "r", Charge(1, 10, 25))
        assert await remaining(limiter, acme) == settled


async def test_who_spends_more_than_was_reserved_gets_nothing_back(limiter: Limiter) -> None:
    acme = tenant(tokens_per_minute=100, work_per_day=100)
    await limiter.reserve(acme, "r", Charge(1, 40, 60))
    await limiter.settle("acme", "r", Charge(2, 50, 70))
    assert await remaining(limiter, acme) == {"tokens_per_minute": 60, "work_per_day": 40}


async def test_a_settlement_after_the_lease_gives_back_once_what_is_left(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(work_per_minute=6000, work_per_day=9000, concurrency=2)
    await limiter.reserve(acme, "r", Charge(work=6000))
    clock.now += LEASE + 5
    await limiter.reserve(acme, "next", Charge(work=2000))
    for _ in range(2):
        await limiter.settle("acme", "r", Charge(work=1000))
        levels = await remaining(limiter, acme)
        assert levels == {"work_per_minute": 4000, "work_per_day": 6000, "concurrency": 1}


async def test_a_refund_gives_back_no_more_than_time_has_left(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(work_per_minute=60)
    await limiter.reserve(acme, "first", Charge(work=60))
    clock.now += 60
    await limiter.reserve(acme, "second", Charge(work=60))
    await limiter.settle("acme", "first", Charge(work=10))
    assert await remaining(limiter, acme) == {"work_per_minute": 0}


async def test_a_refund_never_lifts_a_bucket_above_its_capacity(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(requests_per_minute=60)
    await limiter.reserve(acme, "r", Charge(requests=30))
    clock.now += 29
    await limiter.settle("acme", "r", Charge())
    assert await remaining(limiter, acme) == {"requests_per_minute": 60}


async def test_refunds_do_not_cross_a_period(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(work_per_day=100, work_per_month=1000)
    clock.now = MIDNIGHT - 1
    await limiter.reserve(acme, "yesterday", Charge(work=80))
    clock.now = MIDNIGHT + 1
    await limiter.reserve(acme, "today", Charge(work=50))
    await limiter.settle("acme", "yesterday", Charge(work=10))
    assert await remaining(limiter, acme) == {"work_per_day": 50, "work_per_month": 940}
    clock.now = DECEMBER
    await limiter.settle("acme", "today", Charge())
    assert await remaining(limiter, acme) == {"work_per_day": 100, "work_per_month": 1000}


async def test_a_refund_does_not_give_back_what_no_limit_had_taken(limiter: Limiter) -> None:
    await limiter.reserve(tenant(), "before", Charge(requests=5))
    acme = tenant(requests_per_minute=60)
    await limiter.reserve(acme, "after", Charge(requests=10))
    await limiter.settle("acme", "before", Charge())
    assert await remaining(limiter, acme) == {"requests_per_minute": 50}


async def test_a_lower_limit_holds_at_once_and_keeps_nobody_out_for_longer_than_a_minute(
    limiter: Limiter, clock: Clock
) -> None:
    await limiter.reserve(tenant(requests_per_minute=600), "r", Charge(requests=600))
    acme = tenant(requests_per_minute=6)
    assert (await refused(limiter, acme)).retry_after == 10.0
    clock.now += 60
    assert await admitted(limiter, acme) == 6


async def test_a_higher_limit_holds_at_once(limiter: Limiter) -> None:
    assert await admitted(limiter, tenant(requests_per_minute=6)) == 6
    assert await remaining(limiter, tenant(requests_per_minute=10)) == {"requests_per_minute": 4}


async def test_a_limit_of_nothing_admits_nothing(limiter: Limiter) -> None:
    assert isinstance(await refused(limiter, tenant(requests_per_minute=0)), errors.WorkExceedsLimit)
    await limiter.reserve(tenant(requests_per_minute=0), "free", Charge(work=5))


async def test_time_that_steps_back_gives_nothing_again(limiter: Limiter, clock: Clock) -> None:
    acme = tenant(requests_per_minute=60, work_per_day=10, concurrency=9)
    clock.now = MIDNIGHT
    await limiter.reserve(acme, "r", Charge(60, 0, 10))
    clock.now = MIDNIGHT - 5
    assert await remaining(limiter, acme) == {"requests_per_minute": 0, "work_per_day": 0, "concurrency": 8}
    clock.now = MIDNIGHT + 1
    assert (await remaining(limiter, acme))["requests_per_minute"] == 1


async def test_tenants_do_not_share_limits(limiter: Limiter) -> None:
    acme, rival = tenant(requests_per_minute=1), replace(tenant(requests_per_minute=1), name="rival")
    await limiter.reserve(acme, "r", ONE)
    assert left(await limiter.reserve(rival, "r", ONE)) == {"requests_per_minute": 0}
    await limiter.settle("rival", "r", Charge())
    assert await remaining(limiter, acme) == {"requests_per_minute": 0}


async def test_settling_what_nobody_reserved_changes_nothing(limiter: Limiter) -> None:
    acme = tenant(requests_per_minute=2)
    await limiter.settle("acme", "unknown", Charge())
    await limiter.reserve(acme, "r", ONE)
    await limiter.settle("acme", "unknown", Charge())
    assert await remaining(limiter, acme) == {"requests_per_minute": 1}


async def test_parallel_streams_never_exceed_the_budget(limiter: Limiter) -> None:
    """Streams that may cost 30 each and cost 10, ten at a time, of a budget of 100."""
    acme = tenant(work_per_day=100)
    running = spent = 0

    async def stream(id: str) -> bool:
        nonlocal running, spent
        try:
            await limiter.reserve(acme, id, Charge(work=30))
        except errors.InsufficientQuota:
            return False
        running += 1
        assert spent + 30 * running <= 100
        await asyncio.sleep(0)
        running, spent = running - 1, spent + 10
        await limiter.settle("acme", id, Charge(work=10))
        return True

    turns = 0
    while any(await asyncio.gather(*(stream(f"{turns}-{number}") for number in range(10)))):
        assert await remaining(limiter, acme) == {"work_per_day": 100 - spent}
        turns += 1
    assert spent == 80
