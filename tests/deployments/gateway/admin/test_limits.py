from __future__ import annotations

import asyncio

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployments.errors import ServingError
from deployments.gateway.admin.shapes import ChargeBody
from deployments.gateway.admin.verdicts import verdict
from deployments.tenancy.limits.limiter import Charge
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.tenant import Limits, Tenant
from tests.deployments.gateway.admin.administration import ACME, NOW, Place, error_of

MIDNIGHT = 1_700_006_400.0


async def test_the_levels_are_those_of_the_limiter(admin: httpx.AsyncClient, place: Place) -> None:
    await place.shared.limiter.reserve(ACME, "first", Charge(requests=1, tokens=10, work=1500))
    told = (await admin.get("/tenants/acme/limits")).json()
    assert (told["object"], told["tenant"], told["mode"]) == ("limits", "acme", "shared")
    assert told["limits"]["requests_per_minute"] == {"limit": 60, "remaining": 59, "reset_seconds": 1.0}
    assert told["limits"]["work_per_minute"] == {"limit": 6000, "remaining": 4500, "reset_seconds": 15.0}
    day = {"limit": 9000, "remaining": 7500, "reset_seconds": MIDNIGHT - NOW}
    assert told["limits"]["work_per_day"] == day
    assert told["limits"].keys() == {"requests_per_minute", "work_per_minute", "work_per_day", "concurrency"}
    assert error_of(await admin.get("/tenants/nobody/limits")) == (404, "tenant_not_found")


async def test_a_tenant_without_limits_has_no_levels(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/tenants/declared/limits")).json()["limits"] == {}
    assert (await admin.post("/tenants/declared/limits/test", json={"work": 10**9})).json()["admitted"]


@pytest.mark.parametrize(
    ("charge", "code", "limit", "wait"),
    [
        ({}, None, None, None),
        ({"work": 4500}, None, None, None),
        ({"work": 4600}, "rate_limit_exceeded", "work_per_minute", 1.0),
        ({"work": 6001}, "work_exceeds_limit", "work_per_minute", None),
        ({"requests": 61}, "work_exceeds_limit", "requests_per_minute", None),
        ({"concurrency": 2}, "concurrency_exceeded", "concurrency", 1.0),
    ],
)
async def test_what_a_charge_would_meet_is_told_and_nothing_is_charged(
    admin: httpx.AsyncClient, place: Place, charge: dict[str, int], code: str | None, limit: str | None, wait: float
) -> None:
    await place.shared.limiter.reserve(ACME, "first", Charge(requests=1, work=1500))
    before = (await admin.get("/tenants/acme/limits")).json()
    told = (await admin.post("/tenants/acme/limits/test", json=charge)).json()
    assert (told["admitted"], told["code"], told["limit"], told["retry_after"]) == (code is None, code, limit, wait)
    assert (await admin.get("/tenants/acme/limits")).json() == before


async def test_a_spent_budget_is_told_with_its_end(admin: httpx.AsyncClient, place: Place) -> None:
    await place.shared.limiter.reserve(ACME, "first", Charge(requests=1, work=6000))
    place.now += 60
    told = (await admin.post("/tenants/acme/limits/test", json={"work": 4000})).json()
    assert (told["code"], told["limit"], told["retry_after"]) == (
        "insufficient_quota",
        "work_per_day",
        MIDNIGHT - NOW - 60,
    )


amounts = st.integers(0, 12)
RATES = {"requests_per_minute", "tokens_per_minute", "work_per_minute"}


@example(Limits(tokens_per_minute=9, concurrency=2), [(0, 2, 0, 4), (0, 2, 0, 9)], ChargeBody(tokens=7, concurrency=1))
@given(
    st.builds(
        Limits,
        requests_per_minute=st.none() | st.integers(1, 9),
        tokens_per_minute=st.none() | st.integers(1, 9),
        work_per_minute=st.none() | st.integers(1, 9),
        concurrency=st.none() | st.integers(1, 3),
        work_per_day=st.none() | st.integers(1, 9),
        work_per_month=st.none() | st.integers(1, 9),
    ),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 20)), max_size=4),
    st.builds(ChargeBody, requests=amounts, tokens=amounts, work=amounts, concurrency=st.integers(0, 4)),
)
def test_the_verdict_is_what_the_limiter_would_say(
    limits: Limits, earlier: list[tuple[int, int, int, int]], charge: ChargeBody
) -> None:
    asyncio.run(_agree(Tenant("acme", limits=limits), earlier, charge))


async def _agree(tenant: Tenant, earlier: list[tuple[int, int, int, int]], charge: ChargeBody) -> None:
    now = NOW
    limiter = MemoryLimiter(lambda: now, 15.0)
    for number, (requests, tokens, work, pause) in enumerate(earlier):
        try:
            await limiter.reserve(tenant, str(number), Charge(requests, tokens, work))
        except ServingError:
            await limiter.settle(tenant.name, str(number), Charge())
        now += pause
    told = verdict(await limiter.levels(tenant.name, tenant.limits), charge)
    refusal = await _refusal(limiter, tenant, charge)
    assert told["admitted"] == (refusal is None)
    if refusal is None:
        assert told["code"] is None
    elif refusal.retry_after is None:
        assert told["code"] == refusal.code
    else:
        late = told["retry_after"] - refusal.retry_after
        # What is left is told in whole units. Of two limits in the way for about as long, either may be named.
        assert -0.001 <= late <= (0.001 if told["limit"] not in RATES else 60 / getattr(tenant.limits, told["limit"]))
        assert told["code"] == refusal.code or late > 0


async def _refusal(limiter: MemoryLimiter, tenant: Tenant, charge: ChargeBody) -> ServingError | None:
    try:
        asked = Charge(charge.requests, charge.tokens, charge.work)
        await limiter.reserve(tenant, "asked", asked, charge.concurrency)
    except ServingError as refusal:
        return refusal
    return None
