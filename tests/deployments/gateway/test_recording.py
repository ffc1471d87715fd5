from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from deployments.gateway.recording import Recording
from deployments.state.memory import MemoryStore
from deployments.state.record import RequestRecord
from deployments.state.store import StateUnavailable
from dllm_worker.request import Commit
from tests.deployments.gateway.scripted import NOW

RECORD = RequestRecord("r", "acme", "tiny", "/v1/completions", {}, NOW, NOW)


class LosesAppends(MemoryStore):
    """A store which does not answer the first ``lost`` appends."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost

    async def append_tokens(self, tenant: str, id: str, start: int, tokens: Sequence[int]) -> None:
        if self.lost:
            self.lost -= 1
            raise StateUnavailable("lost")
        await super().append_tokens(tenant, id, start, tokens)


class NeverAnswers(MemoryStore):
    async def create(self, record: RequestRecord) -> None:
        await asyncio.get_running_loop().create_future()


def recording(store: MemoryStore) -> Recording:
    return Recording(store, RECORD, lambda: NOW + 1, timeout_seconds=0.01)


async def stored(store: MemoryStore) -> RequestRecord:
    record = await store.get("acme", "r")
    assert record is not None
    return record


async def test_a_record_follows_its_request() -> None:
    store = MemoryStore()
    following = recording(store)
    await following.open()
    assert (await stored(store)).status == "queued"
    await following.run()
    assert (await stored(store)).status == "running"
    await following.append([Commit("r", 0, 1, 0, (5, 6))])
    await following.append([Commit("r", 0, 2, 2, (7,))])
    assert (await stored(store)).committed_tokens == (5, 6, 7)
    await following.close("completed", finish_reason="stop", usage={"total_tokens": 3})
    record = await stored(store)
    assert (record.status, record.finish_reason, record.usage) == ("completed", "stop", {"total_tokens": 3})
    assert (record.created_at, record.updated_at, following.degraded) == (NOW, NOW + 1, False)


async def test_only_the_first_end_counts() -> None:
    store = MemoryStore()
    following = recording(store)
    await following.open()
    await following.close("failed", error_code="overloaded")
    await following.close("cancelled")
    record = await stored(store)
    assert (record.status, record.error_code) == ("failed", "overloaded")


async def test_what_was_lost_is_written_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    store = LosesAppends(lost=1)
    following = recording(store)
    await following.open()
    with caplog.at_level(logging.WARNING):
        await following.append([Commit("r", 0, 1, 0, (5,))])
    assert "the record of request r was not written" in caplog.text
    await following.append([Commit("r", 0, 2, 1, (6,))])
    assert (await stored(store)).committed_tokens == ()
    await following.close("completed")
    record = await stored(store)
    assert (record.committed_tokens, record.status, following.degraded) == ((5, 6), "completed", True)


async def test_a_store_that_never_answers_holds_nothing_up() -> None:
    store = NeverAnswers()
    following = recording(store)
    await following.open()
    await following.run()
    await following.append([Commit("r", 0, 1, 0, (5,))])
    await following.close("completed")
    assert following.degraded
    assert await store.get("acme", "r") is None
