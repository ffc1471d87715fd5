from __future__ import annotations

import asyncio
from typing import Any

import pytest

from deployments.state.memory import MemoryStore
from deployments.state.store import RequestKey, StateUnavailable
from dllm_worker.request import Request
from tests.deployments.gateway.durable import durable_gateway, frames, serving
from tests.deployments.gateway.scripted import TENANT, ScriptedPool, Step, byte_text, client, commits, saying

PATH = "/v1/completions"
BODY: dict[str, Any] = {"model": "tiny", "prompt": "hi"}


def endless(running: asyncio.Event) -> ScriptedPool:
    """A replica that says ``one`` and then denoises for ever."""

    def script(request: Request) -> list[Step]:
        running.set()
        return [(), *commits(request, [byte_text().encode("one")]), asyncio.Event()]

    return ScriptedPool(script)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("fields", [{}, {"stream": True}, {"stream": True, "store_stream": True}])
async def test_any_running_request_is_cancelled_from_any_gateway(fields: dict[str, Any], elsewhere: bool) -> None:
    running, store = asyncio.Event(), MemoryStore()
    pool = endless(running)
    apps = durable_gateway(pool, store), durable_gateway(saying("never"), store)
    async with serving(*apps), client(apps[0]) as http, client(apps[elsewhere]) as other:
        asking = asyncio.ensure_future(http.post(PATH, json=BODY | fields))
        await running.wait()
        url = f"/v1/requests/{pool.requests[0].id}"
        cancelled = await other.post(f"{url}/cancel")
        again = await other.post(f"{url}/cancel")
        told = await asking
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["committed_tokens"] == byte_text().encode("one")
    assert again.json() == cancelled.json()
    assert pool.aborted == [pool.requests[0].id]
    if fields:
        assert b'"code":"request_cancelled"' in frames(told)[-2]
    else:
        assert (told.status_code, told.json()["error"]["code"]) == (499, "request_cancelled")


async def test_a_request_that_has_ended_stays_as_it_is() -> None:
    async with client(durable_gateway(saying("ok"), MemoryStore())) as http:
        made = (await http.post(PATH, json=BODY)).json()
        cancelled = (await http.post(f"/v1/requests/{made['id']}/cancel")).json()
        record = (await http.get(f"/v1/requests/{made['id']}")).json()
    assert cancelled == record
    assert (record["status"], record["committed_tokens"]) == ("completed", byte_text().encode("ok"))


class Unreadable(MemoryStore):
    """A store that does not read."""

    async def entries(self, key: RequestKey, after: int = 0, wait_seconds: float = 0.0) -> tuple[bytes, ...]:
        raise StateUnavailable("the store is down")


async def test_a_log_that_cannot_be_read_is_told() -> None:
    store = Unreadable()
    async with client(durable_gateway(saying("ok"), store)) as http:
        made = (await http.post(PATH, json=BODY)).json()
        record = await http.get(f"/v1/requests/{made['id']}")
        stream = await http.get(f"/v1/requests/{made['id']}/stream")
    assert await store.get(RequestKey(TENANT, made["id"])) is not None
    assert (record.status_code, record.json()["error"]["code"]) == (503, "unavailable")
    assert b'"code":"unavailable"' in frames(stream)[-2]
