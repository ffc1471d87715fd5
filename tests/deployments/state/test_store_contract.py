"""What every store keeps to, on the twin in memory and on real servers."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from deployments.state.connect import connect
from deployments.state.memory import MemoryStore
from deployments.state.record import RequestRecord
from deployments.state.store import RequestStore, StateError
from tests.deployments.state.records import fresh_record

STORES = ["memory", "valkey", "sentinel", "cluster", *(["redis"] if shutil.which("redis-server") else [])]


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RequestStore]:
    store = MemoryStore() if request.param == "memory" else connect(request.getfixturevalue(f"{request.param}_url"), 60)
    yield store
    await store.close()


async def created(store: RequestStore) -> RequestRecord:
    record = fresh_record()
    await store.create(record)
    return record


async def test_what_is_created_is_read_back(store: RequestStore) -> None:
    record = replace(fresh_record(), committed_tokens=(7, 2**32 - 1), usage={"steps": 3}, status="running")
    await store.create(record)
    assert await store.get(record.tenant, record.id) == record


async def test_a_repeated_create_is_harmless_and_another_record_under_its_id_is_refused(store: RequestStore) -> None:
    record = await created(store)
    await store.create(record)
    with pytest.raises(StateError, match="the id is taken"):
        await store.create(replace(record, model="another"))
    with pytest.raises(StateError, match="the id is taken"):
        await store.create(replace(record, committed_tokens=(1,)))
    assert await store.get(record.tenant, record.id) == record


async def test_tokens_grow_and_a_repeated_append_changes_nothing(store: RequestStore) -> None:
    record = await created(store)
    for start, tokens in [(0, (5, 6)), (2, (7,)), (2, (7,)), (0, (5,)), (1, (6, 7, 8)), (4, ())]:
        await store.append_tokens(record.tenant, record.id, start, tokens)
    assert await store.get(record.tenant, record.id) == replace(record, committed_tokens=(5, 6, 7, 8))


async def test_a_gap_is_refused(store: RequestStore) -> None:
    record = await created(store)
    with pytest.raises(StateError, match="gap"):
        await store.append_tokens(record.tenant, record.id, 1, (5,))
    assert await store.get(record.tenant, record.id) == record


async def test_a_committed_token_never_changes(store: RequestStore) -> None:
    record = await created(store)
    await store.append_tokens(record.tenant, record.id, 0, (5, 6))
    with pytest.raises(StateError, match="differ"):
        await store.append_tokens(record.tenant, record.id, 1, (9, 7))
    assert await store.get(record.tenant, record.id) == replace(record, committed_tokens=(5, 6))


async def test_an_update_changes_what_it_is_given_and_nothing_else(store: RequestStore) -> None:
    record = await created(store)
    await store.update(record.tenant, record.id, now=20.5, status="running")
    await store.update(record.tenant, record.id, now=30.0, usage={}, error_code="overloaded")
    expected = replace(record, status="running", updated_at=30.0, usage={}, error_code="overloaded")
    assert await store.get(record.tenant, record.id) == expected


async def test_writes_to_an_unknown_record_are_refused(store: RequestStore) -> None:
    with pytest.raises(StateError, match="no such record"):
        await store.append_tokens("acme", "unknown", 0, (1,))
    with pytest.raises(StateError, match="no such record"):
        await store.update("acme", "unknown", now=1.0, status="failed")
    assert await store.get("acme", "unknown") is None


async def test_a_record_is_invisible_to_other_tenants(store: RequestStore) -> None:
    record = await created(store)
    assert await store.get("rival", record.id) is None
    with pytest.raises(StateError, match="no such record"):
        await store.update("rival", record.id, now=1.0, status="failed")


async def test_it_answers_a_ping(store: RequestStore) -> None:
    assert await store.ping()
