"""What every store keeps to, on the twin in memory and on real servers, there as a user who may do no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from deployments.state.bounds import Bounds
from deployments.state.memory import MemoryStore
from deployments.state.record import RequestRecord
from deployments.state.store import (
    Change,
    Claim,
    Ended,
    Fenced,
    LogFull,
    Missing,
    RequestKey,
    RequestStore,
    StateError,
    Unfinished,
)
from tests.deployments.state.conftest import PlaceOf
from tests.deployments.state.records import fresh_record

BOUNDS = Bounds(log_entries=4, log_bytes=20, checkpoint_bytes=8, inbox_messages=5)
PLAN = b'{"plan": 1}'
UNKNOWN = RequestKey("acme", "unknown")
END = Change(now=40.0, entries=(b"end",), status="completed", finish_reason="stop", usage={"steps": 3})

STORES = ["memory", "valkey-single", "valkey-sentinel", "valkey-cluster"]
REDIS = ["redis-single", "redis-sentinel", "redis-cluster"]


@pytest.fixture(params=[*STORES, *(pytest.param(name, marks=pytest.mark.full) for name in REDIS)])
async def store(request: pytest.FixtureRequest, place_of: PlaceOf) -> AsyncIterator[RequestStore]:
    if request.param == "memory":
        store: RequestStore = MemoryStore(BOUNDS)
    else:
        place = place_of(request.param)
        place.flush()
        store = place.connect(bounds=BOUNDS)
    yield store
    await store.close()


async def created(store: RequestStore, lease_until: float = 20.0, **changes: Any) -> RequestRecord:
    """A record that is in the store."""
    record = replace(fresh_record(), **changes)
    await store.create(record, plan=PLAN, lease_until=lease_until)
    return replace(record, lease_until=lease_until)


async def test_what_is_created_is_read_back(store: RequestStore) -> None:
    record = await created(store, usage={"steps": 3}, status="running", durable=True)
    assert await store.get(record.key) == record
    assert await store.entries(record.key) == ()


async def test_a_new_record_has_no_log(store: RequestStore) -> None:
    record = await created(store, entries=3, log_bytes=9, epoch=7)
    assert await store.get(record.key) == replace(record, entries=0, log_bytes=0)


async def test_a_repeated_create_is_harmless_and_another_record_under_its_id_is_refused(store: RequestStore) -> None:
    record = await created(store)
    await store.create(record, plan=PLAN, lease_until=20.0)
    for other, plan, lease_until in [(replace(record, model="x"), PLAN, 20.0), (record, b"", 20.0), (record, PLAN, 9)]:
        with pytest.raises(StateError, match="the id is taken"):
            await store.create(other, plan=plan, lease_until=lease_until)
    assert await store.get(record.key) == record
    assert await store.expired(20.5, 9) == (record.key,)
    assert await store.expired(20.0, 9) == ()


async def test_a_write_changes_what_it_is_given_and_nothing_else(store: RequestStore) -> None:
    record = await created(store)
    await store.write(record.key, 1, Change(now=11.0, status="running"))
    await store.write(record.key, 1, Change(now=12.0, lease_until=30.0, usage={}, error_code="slow"))
    expected = replace(record, status="running", updated_at=11.0, lease_until=30.0, usage={}, error_code="slow")
    assert await store.get(record.key) == expected


async def test_the_log_grows_and_a_repeated_write_changes_nothing(store: RequestStore) -> None:
    record = await created(store)
    writes = [
        (0, (b"a", b"\x00\xff")),
        (2, (b"c",)),
        (2, (b"c",)),
        (0, (b"a",)),
        (1, (b"\x00\xff", b"c", b"d")),
        (4, ()),
    ]
    for after, entries in writes:
        await store.write(record.key, 1, Change(now=11.0, after=after, entries=entries))
    assert await store.entries(record.key) == (b"a", b"\x00\xff", b"c", b"d")
    assert await store.entries(record.key, 3) == (b"d",)
    assert await store.entries(record.key, 4) == ()
    assert await store.get(record.key) == replace(record, entries=4, log_bytes=5)


@pytest.mark.parametrize(("after", "entries", "reason"), [(3, (b"d",), "gap"), (1, (b"B", b"c"), "differ")])
async def test_a_write_that_does_not_fit_the_log_has_no_effect(
    store: RequestStore, after: int, entries: tuple[bytes, ...], reason: str
) -> None:
    record = await created(store)
    await store.write(record.key, 1, Change(now=11.0, entries=(b"a", b"b")))
    change = Change(now=12.0, after=after, entries=entries, status="running", checkpoint=b"new", lease_until=99.0)
    with pytest.raises(StateError, match=reason):
        await store.write(record.key, 1, change)
    assert await store.entries(record.key) == (b"a", b"b")
    before = replace(record, entries=2, log_bytes=2)
    assert await store.get(record.key) == before
    taken = replace(before, owner="two", epoch=2, lease_until=50.0)
    assert await store.acquire(record.key, "two", 21.0, 50.0) == Unfinished(taken, PLAN, None, (b"a", b"b"))


async def test_writes_to_an_unknown_request_are_refused(store: RequestStore) -> None:
    with pytest.raises(Missing, match="no such record"):
        await store.write(UNKNOWN, 1, Change(now=1.0, status="failed"))
    assert await store.get(UNKNOWN) is None
    assert await store.entries(UNKNOWN) == ()
    assert await store.acquire(UNKNOWN, "two", 1.0, 2.0) is None
    assert not await store.delete(UNKNOWN)


async def test_a_request_is_invisible_to_other_tenants(store: RequestStore) -> None:
    record = await created(store)
    await store.write(record.key, 1, Change(now=11.0, entries=(b"secret",)))
    foreign = RequestKey("rival", record.id)
    assert await store.get(foreign) is None
    assert await store.entries(foreign) == ()
    assert await store.acquire(foreign, "two", 90.0, 99.0) is None
    assert not await store.delete(foreign)
    with pytest.raises(Missing):
        await store.write(foreign, 1, Change(now=1.0, status="failed"))


async def test_who_takes_an_expired_lease_gets_all_that_is_needed_and_fences_the_other(store: RequestStore) -> None:
    record = await created(store)
    await store.write(record.key, 1, Change(now=11.0, entries=(b"a",), checkpoint=b"old"))
    await store.write(record.key, 1, Change(now=12.0, after=1, entries=(b"b",), checkpoint=b"\x00new"))
    await store.write(record.key, 1, Change(now=13.0))
    assert await store.acquire(record.key, "two", 20.0, 50.0) is None
    taken = replace(record, owner="two", epoch=2, lease_until=50.0, entries=2, log_bytes=2)
    expected = Unfinished(taken, PLAN, b"\x00new", (b"a", b"b"))
    assert await store.acquire(record.key, "two", 20.5, 50.0) == expected
    assert await store.acquire(record.key, "two", 20.5, 50.0) == expected
    assert await store.acquire(record.key, "three", 20.5, 50.0) is None
    with pytest.raises(Fenced):
        await store.write(record.key, 1, Change(now=21.0, after=2, entries=(b"zombie",)))
    await store.write(record.key, 2, Change(now=21.0, after=2, entries=(b"c",)))
    assert await store.entries(record.key) == (b"a", b"b", b"c")


async def test_a_request_without_plan_and_lease_can_be_taken_at_once(store: RequestStore) -> None:
    record = fresh_record()
    await store.create(record)
    assert await store.expired(0.5, 9) == (record.key,)
    taken = await store.acquire(record.key, "two", 0.5, 50.0)
    assert taken == Unfinished(replace(record, owner="two", epoch=2, lease_until=50.0), b"", None, ())


async def test_a_terminal_write_ends_the_request_for_good(store: RequestStore) -> None:
    record = await created(store)
    await store.write(record.key, 1, Change(now=11.0, entries=(b"a",), checkpoint=b"half"))
    end = replace(END, after=1)
    await store.write(record.key, 1, end)
    await store.write(record.key, 1, replace(end, now=41.0))
    outcome: dict[str, Any] = {
        "status": "completed",
        "finish_reason": "stop",
        "usage": {"steps": 3},
        "entries": 2,
        "log_bytes": 4,
    }
    ended = replace(record, **outcome, updated_at=40.0, lease_until=0.0)
    assert await store.get(record.key) == ended
    others = [
        Change(now=41.0, after=2, entries=(b"more",)),
        Change(now=41.0, checkpoint=b"late"),
        Change(now=41.0, lease_until=99.0),
        replace(end, status="cancelled"),
        replace(end, entries=(b"another",)),
        replace(end, usage={"steps": 4}),
        replace(end, after=2),
        replace(end, after=9, entries=()),
    ]
    for change in others:
        with pytest.raises(Ended):
            await store.write(record.key, 1, change)
    with pytest.raises(Fenced):
        await store.write(record.key, 2, end)
    assert await store.acquire(record.key, "two", 99.0, 100.0) is None
    assert await store.get(record.key) == ended
    assert await store.entries(record.key) == (b"a", b"end")


async def test_expired_leases_are_found_oldest_first(store: RequestStore) -> None:
    first, second, third, last = [await created(store, lease_until=until) for until in (20.0, 30.0, 40.0, 50.0)]
    assert await store.expired(50.0, 9) == (first.key, second.key, third.key)
    assert await store.expired(50.0, 2) == (first.key, second.key)
    await store.write(first.key, 1, Change(now=21.0, lease_until=60.0))
    await store.write(last.key, 1, Change(now=22.0, lease_until=0.0))
    await store.write(second.key, 1, END)
    assert await store.expired(50.0, 9) == (last.key, second.key, third.key)
    await store.settled(second.key)
    assert await store.expired(50.0, 9) == (last.key, third.key)
    assert await store.acquire(third.key, "two", 50.0, 70.0) is not None
    assert await store.delete(last.key)
    assert await store.expired(65.0, 9) == (first.key,)


async def test_a_request_that_runs_is_not_settled(store: RequestStore) -> None:
    record = await created(store, lease_until=20.0)
    await store.settled(record.key)
    assert await store.expired(50.0, 9) == (record.key,)
    await store.delete(record.key)
    await store.settled(record.key)
    assert await store.expired(50.0, 9) == ()


async def test_a_log_takes_no_more_entries_or_bytes_than_it_may_but_always_its_end(store: RequestStore) -> None:
    many, long = [await created(store) for _ in range(2)]
    await store.write(many.key, 1, Change(now=11.0, entries=(b"1", b"2", b"3", b"4")))
    await store.write(long.key, 1, Change(now=11.0, entries=(b"x" * 20,)))
    for record, entries in [(many, 4), (long, 1)]:
        with pytest.raises(LogFull):
            await store.write(record.key, 1, Change(now=12.0, after=entries, entries=(b"5",), status="running"))
        with pytest.raises(LogFull):
            await store.write(record.key, 1, replace(END, after=entries, entries=(b"5", b"end")))
        assert await store.get(record.key) == replace(record, entries=entries, log_bytes=4 if record is many else 20)
        await store.write(record.key, 1, Change(now=12.0, after=entries - 1, entries=(b"4",) if record is many else ()))
        await store.write(record.key, 1, replace(END, after=entries))
        assert (await store.entries(record.key))[-1] == b"end"


async def test_a_checkpoint_that_is_too_large_is_refused(store: RequestStore) -> None:
    record = await created(store)
    await store.write(record.key, 1, Change(now=11.0, checkpoint=b"x" * 8))
    with pytest.raises(LogFull):
        await store.write(record.key, 1, Change(now=12.0, checkpoint=b"x" * 9, status="running"))
    assert await store.get(record.key) == record


async def test_who_waits_for_entries_gets_them_when_they_are_written(store: RequestStore) -> None:
    record = await created(store)
    await store.write(record.key, 1, Change(now=11.0, entries=(b"a",)))
    waiting = asyncio.create_task(store.entries(record.key, 1, wait_seconds=30.0))
    early = asyncio.create_task(store.entries(record.key, 2, wait_seconds=30.0))
    await store.write(record.key, 1, Change(now=12.0, after=1, entries=(b"b",)))
    assert await waiting == (b"b",)
    await store.write(record.key, 1, Change(now=12.0, after=2, entries=(b"c", b"d")))
    assert (await early)[0] == b"c"


async def test_who_waits_for_nothing_gets_nothing(store: RequestStore) -> None:
    record = await created(store)
    assert await store.entries(record.key, 0, wait_seconds=0.01) == ()
    assert await store.receive("nobody", wait_seconds=0.01) == ()
    assert await store.receive("nobody", wait_seconds=0.0) == ()


async def test_a_deleted_request_is_gone(store: RequestStore) -> None:
    record = await created(store)
    await store.write(record.key, 1, Change(now=11.0, entries=(b"a",), checkpoint=b"half"))
    assert await store.delete(record.key)
    assert not await store.delete(record.key)
    assert await store.get(record.key) is None
    assert await store.entries(record.key) == ()
    assert await store.expired(99.0, 9) == ()
    with pytest.raises(Missing):
        await store.write(record.key, 1, Change(now=12.0, after=1, entries=(b"b",)))
    await store.create(record, lease_until=30.0)
    assert await store.acquire(record.key, "two", 31.0, 50.0) == Unfinished(
        replace(record, owner="two", epoch=2, lease_until=50.0), b"", None, ()
    )


async def test_a_token_stands_for_its_first_claim_in_each_tenant(store: RequestStore) -> None:
    first, second = Claim("req_1", "digest"), Claim("req_2", "other")
    assert await store.claim("acme", "token", first) == first
    assert await store.claim("acme", "token", first) == first
    assert await store.claim("acme", "token", second) == first
    assert await store.claim("rival", "token", second) == second
    assert await store.claim("acme", "another", second) == second


async def test_messages_are_received_once_and_in_order_by_whom_they_are_for(store: RequestStore) -> None:
    for owner, message in [("one", "a"), ("two", "b"), ("one", "ü")]:
        await store.send(owner, message)
    assert await store.receive("one", wait_seconds=30.0) == ("a", "ü")
    assert await store.receive("one", wait_seconds=0.0) == ()
    assert await store.receive("two", wait_seconds=0.0) == ("b",)
    waiting = asyncio.create_task(store.receive("two", wait_seconds=30.0))
    await store.send("two", "c")
    assert await waiting == ("c",)


async def test_an_inbox_drops_its_oldest_messages(store: RequestStore) -> None:
    for message in "abcdefg":
        await store.send("one", message)
    assert await store.receive("one", wait_seconds=0.0) == tuple("cdefg")


async def test_it_answers_a_ping(store: RequestStore) -> None:
    assert await store.ping()
