"""What every ledger keeps to, on the twin in memory and on real servers, there as a user who may do no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.tenancy.ledger.ledger import Ledger, LedgerEntry, UsageRow
from deployments.tenancy.ledger.memory import MemoryLedger
from deployments.tenancy.ledger.redis import ENTRIES_PER_PAGE, RedisLedger
from deployments.tenancy.ledger.sums import rows_of
from tests.deployments.state.conftest import PlaceOf
from tests.deployments.tenancy.ledger.entries import DAY, HOUR, NOON, connected, entry

LEDGERS = ["memory", "valkey-single", "valkey-cluster"]
REDIS = ["redis-single", "redis-cluster"]
MONTH = ("2026-11-01", "2026-12-02")


@pytest.fixture(params=[*LEDGERS, *(pytest.param(name, marks=pytest.mark.full) for name in REDIS)])
async def ledger(request: pytest.FixtureRequest, place_of: PlaceOf) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    place = place_of(request.param)
    place.flush()
    client = connected(place)
    yield RedisLedger(client)
    await client.close()


async def all_of(
    ledger: Ledger, tenant: str = "acme", first: str = MONTH[0], last: str = MONTH[1]
) -> list[LedgerEntry]:
    return [entry async for entry in ledger.entries(tenant, first, last)]


async def test_what_is_entered_is_read_back_whole(ledger: Ledger) -> None:
    odd = entry("cmpl-2", created_at=NOON - 1 / 3, ended_at=NOON + 1e-6, error_code="replicas_lost", work=2**52 + 1)
    assert await ledger.enter(entry())
    assert await ledger.enter(odd)
    assert await all_of(ledger) == [entry(), odd]


async def test_an_empty_ledger_has_nothing(ledger: Ledger) -> None:
    assert await all_of(ledger) == []
    assert await ledger.usage("acme", *MONTH) == []


async def test_a_second_entry_of_an_id_changes_nothing_whatever_it_says(ledger: Ledger) -> None:
    assert await ledger.enter(entry())
    before = await ledger.usage("acme", *MONTH)
    tomorrow = entry(ended_at=NOON + 24 * HOUR)
    for again in (entry(), entry(work=7, status="failed"), tomorrow, entry(model="other")):
        assert not await ledger.enter(again)
    assert await all_of(ledger) == [entry()]
    assert await ledger.usage("acme", *MONTH) == before


async def test_tenants_do_not_share_ids_nor_see_each_other(ledger: Ledger) -> None:
    mine, theirs = entry(), entry(tenant="acm", work=1)
    assert await ledger.enter(mine)
    assert await ledger.enter(theirs)
    assert await all_of(ledger) == [mine]
    assert await all_of(ledger, "acm") == [theirs]
    assert await ledger.usage("acm", *MONTH) == rows_of([theirs])


async def test_usage_is_by_day_and_model(ledger: Ledger) -> None:
    entries = [
        entry("a", model="org/b", ended_at=NOON + 24 * HOUR),
        entry("b", model="org/b"),
        entry("c", model="a:1", requests=0, work=3),
        entry("d", model="org/b", status="failed", completion_tokens=0),
    ]
    for each in entries:
        await ledger.enter(each)
    first, second, third = await ledger.usage("acme", *MONTH)
    assert [(row.day, row.model, row.requests) for row in (first, second, third)] == [
        (DAY, "a:1", 0),
        (DAY, "org/b", 2),
        ("2026-11-23", "org/b", 1),
    ]
    assert first == UsageRow(DAY, "acme", "a:1", 0, 9, 4, 64, 12, 15, 400, 3)
    assert second == UsageRow(DAY, "acme", "org/b", 2, 18, 8, 64, 24, 30, 800, 80)
    assert await ledger.usage("acme", "2026-11-23", "2026-11-23") == [third]


async def test_a_day_is_that_of_utc_and_ends_before_the_next_one(ledger: Ledger) -> None:
    last, first = entry("last", ended_at=NOON + 12 * HOUR - 1e-3), entry("first", ended_at=NOON + 12 * HOUR)
    for each in (first, last):
        await ledger.enter(each)
    assert await all_of(ledger, "acme", DAY, DAY) == [last]
    assert await all_of(ledger, "acme", "2026-11-23", "2026-11-23") == [first]
    assert await all_of(ledger) == [last, first]


async def test_more_than_a_page_comes_in_the_order_it_was_written(ledger: Ledger) -> None:
    entries = [entry(f"{number}", ended_at=NOON - number) for number in range(2 * ENTRIES_PER_PAGE)]
    for start in range(0, len(entries), 50):
        for each in entries[start : start + 50]:
            await ledger.enter(each)
    assert await all_of(ledger) == entries
    assert await ledger.usage("acme", *MONTH) == rows_of(entries)


async def test_of_many_writers_one_enters(ledger: Ledger) -> None:
    entries = [entry(f"{number}") for number in range(8)]
    new = await asyncio.gather(*(ledger.enter(each) for _ in range(6) for each in entries))
    assert sum(new) == len(entries)
    assert sorted(each.id for each in await all_of(ledger)) == [each.id for each in entries]
    assert await ledger.usage("acme", *MONTH) == rows_of(entries)


COUNTS = {field.name: st.integers(0, 2**40) for field in fields(LedgerEntry) if field.type == "int"}
ENTRIES = st.builds(
    entry,
    id=st.sampled_from("abcde"),
    tenant=st.sampled_from(["acme", "bravo"]),
    model=st.sampled_from(["tiny", "org/tiny", "a:b"]),
    status=st.sampled_from(["completed", "cancelled", "failed"]),
    error_code=st.none() | st.just("replicas_lost"),
    ended_at=st.floats(NOON, NOON + 72 * HOUR),
    **COUNTS,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(st.tuples(st.sampled_from("abcdefgh"), ENTRIES), max_size=12))
async def test_the_rows_are_the_sums_of_the_entries(ledger: Ledger, drawn: list[tuple[str, LedgerEntry]]) -> None:
    """Each example adds to what the ones before it left."""
    for prefix, each in drawn:
        await ledger.enter(replace(each, id=prefix + each.id))
    for tenant in ("acme", "bravo"):
        found = await all_of(ledger, tenant)
        assert len({each.id for each in found}) == len(found)
        assert await ledger.usage(tenant, *MONTH) == rows_of(found)
        kept = {each.id for each in found}
        assert {prefix + each.id for prefix, each in drawn if each.tenant == tenant} <= kept
