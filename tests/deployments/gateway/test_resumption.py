from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from deployments.errors import InvalidRequest, Overloaded
from deployments.execution.settings import ExecutionSettings
from deployments.gateway.resumption import resume_after
from deployments.gateway.settings import GatewaySettings
from deployments.state.memory import MemoryStore
from deployments.state.store import RequestKey
from dllm_worker.request import Request
from tests.deployments.gateway.asgi import Connection
from tests.deployments.gateway.durable import NUMBERED, behind, durable_gateway, frames, post
from tests.deployments.gateway.scripted import (
    TENANT,
    ScriptedPool,
    Step,
    byte_text,
    client,
    commits,
    filling,
    finish,
    saying,
)

IMPATIENT = GatewaySettings(execution=ExecutionSettings(patience_seconds=-1.0))
MESSAGES = [{"role": "user", "content": "hi"}]
STREAMED = {"model": "tiny", "stream": True, "store_stream": True}
CHAT = STREAMED | {"messages": MESSAGES, "stream_options": {"include_usage": True}}
ASKED: list[tuple[str, dict[str, Any], Any]] = [
    ("/v1/chat/completions", CHAT, saying("one", " twö", "END", reason="length")),
    ("/v1/chat/completions", CHAT | {"stop": ["END"]}, saying("one E", "ND three")),
    ("/v1/completions", STREAMED | {"prompt": "hi"}, saying("on", "e")),
    ("/v1/infill", STREAMED | {"template": "f({{hole}}, {{hole}})", "hole_tokens": 2}, filling("ab", "c")),
    ("/v1/responses", {"model": "tiny", "stream": True, "input": "hi"}, saying("one", " twö")),
    ("/v1/responses", {"model": "tiny", "stream": True, "input": "hi", "background": True}, saying("a", "b", "c")),
]


def first_id(received: list[bytes]) -> str:
    found = re.search(rb'"id":"((?:chatcmpl|cmpl|infill|resp)-[0-9A-Z]+)"', received[0])
    assert found
    return found[1].decode()


@pytest.mark.parametrize(("path", "body", "script"), ASKED)
async def test_resume_from_every_sequence_number(path: str, body: dict[str, Any], script: Any) -> None:
    store = MemoryStore()
    async with (
        client(durable_gateway(script, store)) as http,
        client(durable_gateway(saying("never"), store)) as elsewhere,
    ):
        received = frames(await post(http, path, body))
        numbers = [int(found[1]) for frame in received if (found := NUMBERED.match(frame))]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        url = f"/v1/requests/{first_id(received)}/stream"
        for reader in (http, elsewhere):
            assert frames(await reader.get(url)) == received
            for number in range(numbers[-1] + 2):
                rest = await reader.get(url, headers={"last-event-id": str(number)})
                assert frames(rest) == behind(received, number)
                assert frames(await reader.get(url, params={"starting_after": number})) == frames(rest)
            assert rest.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_a_reader_who_was_cut_off_goes_on_at_another_gateway() -> None:
    gate, store = asyncio.Event(), MemoryStore()

    def script(request: Request) -> list[Step]:
        one, two = commits(request, [byte_text().encode("one"), byte_text().encode(" two")])
        return [(), one, gate, two, finish(request, 7)]

    pool = ScriptedPool(script)
    here, elsewhere = durable_gateway(pool, store), durable_gateway(saying("never"), store)
    connection = Connection(here, "/v1/completions", STREAMED | {"prompt": "hi"})
    reading = asyncio.ensure_future(connection.run())
    seen = b""
    while b'"one"' not in seen:
        seen += await connection.parts.get()
    connection.leave()
    await reading
    assert pool.aborted == []
    last = seen.split(b"\n\n")[-2] + b"\n\n"
    number = NUMBERED.match(last)
    assert number
    url = f"/v1/requests/{first_id([seen])}/stream"
    async with client(elsewhere) as http:
        resuming = asyncio.ensure_future(http.get(url, headers={"last-event-id": number[1].decode()}))
        assert await store.entries(RequestKey(TENANT, pool.requests[0].id), wait_seconds=9.0)
        gate.set()
        rest = frames(await resuming)
        assert seen + b"".join(rest) == (await http.get(url)).content
    assert b'" two"' in rest[0]


async def test_a_stream_that_failed_is_told_again_to_the_byte() -> None:
    def script(request: Request) -> list[Step]:
        return [(), *commits(request, [[70]]), Overloaded("gone"), Overloaded("gone")]

    store = MemoryStore()
    async with client(durable_gateway(script, store, IMPATIENT)) as http:
        received = frames(await post(http, "/v1/chat/completions", CHAT, x_request_id="mine"))
        again = frames(await http.get(f"/v1/requests/{first_id(received)}/stream"))
        after = frames(await http.get(f"/v1/requests/{first_id(received)}/stream", params={"starting_after": 2}))
    assert again == received
    assert b'"request_id":"mine"' in received[-2]
    assert after == received[2:]


async def test_store_stream_needs_a_stream() -> None:
    async with client(durable_gateway(saying("never"), MemoryStore())) as http:
        response = await http.post("/v1/completions", json={"model": "tiny", "prompt": "hi", "store_stream": True})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "store_stream")


@pytest.mark.parametrize("value", ["", "-1", "1.5", "x", "+1", " 1", "1" * 10, "\N{ARABIC-INDIC DIGIT ONE}"])
async def test_what_is_no_number_of_a_frame_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        resume_after(value, "3")
    assert refusal.value.parameter == "last-event-id"
    with pytest.raises(InvalidRequest) as refusal:
        resume_after(None, value)
    assert refusal.value.parameter == "starting_after"


def test_the_header_goes_first() -> None:
    assert (resume_after("4", "7"), resume_after(None, "7"), resume_after(None, None)) == (4, 7, None)
