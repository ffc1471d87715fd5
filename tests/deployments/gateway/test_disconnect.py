from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from deployments.gateway.settings import GatewaySettings
from deployments.state.memory import MemoryStore
from deployments.state.store import RequestKey
from dllm_worker.request import Request
from tests.deployments.gateway.asgi import Connection
from tests.deployments.gateway.scripted import TENANT, ScriptedPool, Step, commits, gateway

BODY: dict[str, Any] = {"model": "tiny", "prompt": "hi", "max_tokens": 64}


def stuck_after(committed: int) -> ScriptedPool:
    """A replica that commits so many tokens and then denoises for ever."""

    def script(request: Request) -> list[Step]:
        return [(), *commits(request, [[70]] * committed), asyncio.Event()]

    return ScriptedPool(script)


async def status_of(store: MemoryStore, pool: ScriptedPool) -> str:
    record = await store.get(RequestKey(TENANT, pool.requests[0].id))
    assert record is not None
    return record.status


@pytest.mark.parametrize("read", range(4))
async def test_a_reader_who_leaves_frees_the_canvas(read: int) -> None:
    pool, store = stuck_after(committed=3), MemoryStore()
    connection = Connection(gateway(pool, store), "/v1/completions", BODY | {"stream": True})
    serving = asyncio.ensure_future(connection.run())
    for _ in range(read + 1):
        await connection.parts.get()
    connection.leave()
    await serving
    assert pool.aborted == [pool.requests[0].id]
    assert await status_of(store, pool) == "cancelled"


@pytest.mark.parametrize("admitted", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_who_has_seen_nothing_yet_may_leave_too(stream: bool, admitted: bool) -> None:
    waiting = asyncio.Event()

    def script(request: Request) -> Iterator[Step]:
        if admitted:
            yield ()
        waiting.set()
        yield asyncio.Event()

    pool, store = ScriptedPool(script), MemoryStore()
    connection = Connection(gateway(pool, store), "/v1/completions", BODY | {"stream": stream})
    serving = asyncio.ensure_future(connection.run())
    await waiting.wait()
    connection.leave()
    await serving
    assert pool.aborted == [pool.requests[0].id]
    assert await status_of(store, pool) == "cancelled"


@pytest.mark.parametrize("sent", range(3))
async def test_a_broken_connection_frees_the_canvas(sent: int) -> None:
    pool, store = stuck_after(committed=3), MemoryStore()
    app = gateway(pool, store)
    connection = Connection(app, "/v1/completions", BODY | {"stream": True}, breaks_after=sent)
    with pytest.raises(ClientDisconnect):
        await connection.run()
    assert pool.aborted == [pool.requests[0].id]
    assert await status_of(store, pool) == "cancelled"


async def test_a_cancelled_server_task_frees_the_canvas() -> None:
    pool, store = stuck_after(committed=1), MemoryStore()
    connection = Connection(gateway(pool, store), "/v1/completions", BODY | {"stream": True})
    serving = asyncio.ensure_future(connection.run())
    await connection.parts.get()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert pool.aborted == [pool.requests[0].id]
    assert await status_of(store, pool) == "cancelled"


async def test_a_client_who_waits_in_the_queue_is_kept_alive() -> None:
    gate = asyncio.Event()
    pool = ScriptedPool(lambda request: [gate, (), *commits(request, [[70]]), asyncio.Event()])
    app = gateway(pool, settings=GatewaySettings(keep_alive_seconds=0.001))
    connection = Connection(app, "/v1/completions", BODY | {"stream": True})
    serving = asyncio.ensure_future(connection.run())
    assert await connection.parts.get() == b": keep-alive\n"
    gate.set()
    while (part := await connection.parts.get()) == b": keep-alive\n":
        pass
    assert part.startswith(b"id: 1\n")
    connection.leave()
    await serving
