from __future__ import annotations

import asyncio
from typing import Any

import pytest

from deployments.errors import StreamLogFull, TakenOver, Unavailable
from deployments.execution.executions import Executions
from deployments.state.memory import MemoryStore
from deployments.state.record import TERMINAL, RequestRecord
from deployments.state.store import Change, Fenced, LogFull, RequestKey, StateUnavailable
from tests.deployments.execution.works import (
    SETTINGS,
    TEXT,
    TOKENS,
    Cluster,
    finished,
    outputs_of,
    scripts,
    text_of,
    told,
)

KEY = RequestKey("acme", "request")
END = len(TOKENS)
WHOLE = (told(0, 8), told(8, 20), told(20, END), finished())


class FailingStore(MemoryStore):
    """Does not answer writes while it is ``down``; notes those that it took."""

    def __init__(self, *, down: bool = False) -> None:
        super().__init__()
        self.down = down
        self.changes: list[Change] = []

    async def create(self, record: RequestRecord, **terms: Any) -> None:
        if self.down:
            raise StateUnavailable("down")
        await super().create(record, **terms)

    async def write(self, key: RequestKey, epoch: int, change: Change) -> None:
        if self.down:
            raise StateUnavailable("down")
        await super().write(key, epoch, change)
        self.changes.append(change)


async def ended(cluster: Cluster, **terms: bool) -> RequestRecord | None:
    execution = await cluster.start(cluster.gateway(), **terms)
    assert text_of(await outputs_of(execution)) == TEXT
    await execution.ended()
    return await cluster.store.get(KEY)


async def test_a_plain_request_is_written_at_its_start_and_its_end() -> None:
    store = FailingStore()
    record = await ended(Cluster(scripts(WHOLE), store))
    assert record is not None
    assert (record.status, record.finish_reason, record.entries) == ("completed", "length", 4)
    assert [change.status for change in store.changes if change.entries] == ["completed"]
    assert all(change.checkpoint is None for change in store.changes)


async def test_a_durable_request_is_written_as_it_grows_with_its_checkpoints() -> None:
    gate = asyncio.Event()
    store = FailingStore()
    cluster = Cluster(scripts([told(0, 8), gate, *WHOLE[1:]]), store)
    execution = await cluster.start(cluster.gateway(), durable=True)
    assert len(await store.entries(KEY, wait_seconds=5.0)) == 1
    assert store.changes[-1].checkpoint == b"8"
    gate.set()
    await execution.ended()
    assert len(await store.entries(KEY)) == 4


async def test_an_answer_does_not_wait_for_a_store_that_fails() -> None:
    store = FailingStore(down=True)
    cluster = Cluster(scripts(WHOLE), store)
    execution = await cluster.start(cluster.gateway())
    assert execution.degraded
    assert text_of(await outputs_of(execution)) == TEXT
    assert await store.get(KEY) is None


async def test_a_durable_request_is_not_accepted_without_its_record() -> None:
    cluster = Cluster(scripts(WHOLE), FailingStore(down=True))
    with pytest.raises(Unavailable):
        await cluster.start(cluster.gateway(), durable=True)
    assert cluster.pool.runs == []


async def test_a_durable_request_is_entered_again_into_a_store_that_lost_its_memory() -> None:
    gate = asyncio.Event()
    store = FailingStore()
    cluster = Cluster(scripts([told(0, 8), gate, *WHOLE[1:]]), store)
    execution = await cluster.start(cluster.gateway(), durable=True)
    await store.entries(KEY, wait_seconds=5.0)
    await store.delete(KEY)
    gate.set()
    await execution.ended()
    record = await store.get(KEY)
    assert record is not None
    assert (record.status, record.entries) == ("completed", 4)


async def test_a_request_that_its_tenant_deleted_stays_deleted() -> None:
    store = FailingStore()
    cluster = Cluster(scripts([told(0, 8), asyncio.Event()]), store)
    execution = await cluster.start(cluster.gateway(), durable=True)
    await store.entries(KEY, wait_seconds=5.0)
    await store.delete(KEY)
    await execution.cancel()
    assert await store.get(KEY) is None


async def test_an_answer_longer_than_the_log_ends_with_an_error_of_that_name() -> None:
    class FullStore(MemoryStore):
        async def write(self, key: RequestKey, epoch: int, change: Change) -> None:
            if change.after + len(change.entries) > 2 and change.status is None:
                raise LogFull("full")
            await super().write(key, epoch, change)

    gate = asyncio.Event()
    cluster = Cluster(scripts([told(0, 8), gate, told(8, 12), told(12, 20), asyncio.Event()]), FullStore())
    execution: Any = await cluster.start(cluster.gateway(), durable=True)
    await cluster.store.entries(KEY, wait_seconds=5.0)
    gate.set()
    with pytest.raises(StreamLogFull):
        await outputs_of(execution)
    record = await cluster.store.get(KEY)
    assert record is not None
    assert (record.status, record.error_code) == ("failed", "stream_log_full")


class ShortStore(MemoryStore):
    """Its logs hold one entry, and an end."""

    async def write(self, key: RequestKey, epoch: int, change: Change) -> None:
        if change.after + len(change.entries) > 1 + (change.status in TERMINAL):
            raise LogFull("full")
        await super().write(key, epoch, change)


async def test_an_answer_too_long_for_its_record_reaches_its_client_and_is_not_told_again() -> None:
    cluster = Cluster(scripts(WHOLE), ShortStore())
    executions = cluster.gateway()
    execution = await cluster.start(executions)
    assert text_of(await outputs_of(execution)) == TEXT
    await execution.ended()
    record = await cluster.store.get(KEY)
    assert record is not None
    assert record.status == "completed"
    with pytest.raises(StreamLogFull):
        async for _ in executions.follow(KEY):
            pass


async def test_the_end_of_a_request_taken_over_meanwhile_is_left_to_who_has_it() -> None:
    class LateStore(MemoryStore):
        async def write(self, key: RequestKey, epoch: int, change: Change) -> None:
            if change.status in TERMINAL:
                raise Fenced("another gateway has the lease")
            await super().write(key, epoch, change)

    cluster = Cluster(scripts(WHOLE), LateStore())
    with pytest.raises(TakenOver):
        await outputs_of(await cluster.start(cluster.gateway(), durable=True))


async def test_the_end_of_a_durable_request_is_written_when_the_store_is_back() -> None:
    gate = asyncio.Event()
    store = FailingStore()
    cluster = Cluster(scripts([told(0, 8), gate, *WHOLE[1:]]), store)
    executions: Executions = cluster.gateway()
    execution = await cluster.start(executions, durable=True)
    await store.entries(KEY, wait_seconds=5.0)
    store.down = True
    gate.set()
    ending = asyncio.create_task(execution.ended())
    following = executions.follow(KEY)
    await anext(following)
    store.down = False
    await ending
    record = await store.get(KEY)
    assert record is not None
    assert record.status == "completed"
    assert SETTINGS.write_seconds > 0
