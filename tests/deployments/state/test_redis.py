from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from deployments.state.connect import connect
from deployments.state.redis import MAX_IN_FLIGHT
from deployments.state.store import StateUnavailable
from tests.deployments.state.records import fresh_record


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed_url() -> str:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"redis://127.0.0.1:{server.getsockname()[1]}"


async def test_every_write_renews_the_time_to_live_of_record_and_tokens(valkey_url: str) -> None:
    store, client, record = connect(valkey_url, 1000), Redis.from_url(valkey_url), fresh_record()
    keys = [f"dllm:{{{record.tenant}:{record.id}}}:{part}" for part in ("record", "tokens")]

    async def forget() -> None:
        for key in keys:
            await client.expire(key, 10)

    await store.create(record)
    assert [await client.ttl(key) for key in keys] == [1000, 1000]
    await forget()
    await store.append_tokens(record.tenant, record.id, 0, (1,))
    assert [await client.ttl(key) for key in keys] == [1000, 1000]
    await forget()
    await store.update(record.tenant, record.id, now=1.0, status="completed")
    assert [await client.ttl(key) for key in keys] == [1000, 1000]
    await store.close()
    await client.aclose()


async def test_more_calls_than_connections_all_succeed(valkey_url: str) -> None:
    store, record = connect(valkey_url, 60), fresh_record()
    await store.create(record)
    reads = (store.get(record.tenant, record.id) for _ in range(3 * MAX_IN_FLIGHT))
    assert await asyncio.gather(*reads) == [record] * (3 * MAX_IN_FLIGHT)
    await store.close()


async def test_a_server_that_is_away_or_silent_is_reported_as_unavailable(closed_url: str, silent_url: str) -> None:
    for url in (closed_url, silent_url):
        store = connect(url, 60)
        with pytest.raises(StateUnavailable, match="does not answer"):
            await store.get("acme", uuid4().hex)
        assert not await store.ping()
        await store.close()
