"""What clients of the OpenAI API rely on beyond the words: strict types, server-sent events, leaving at any byte."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from dllm_worker.request import Commit, Request, TokenLogprobs
from tests.deployments.gateway.scripted import (
    AUTHORIZED,
    ScriptedPool,
    Step,
    app_over,
    byte_text,
    client,
    commits,
    finish,
    model,
    saying,
)
from tests.deployments.gateway.test_answers import CHAT, post
from tests.deployments.gateway.test_stream import GOLDEN, chunks, watching

PATH = "/v1/chat/completions"


def likely(request: Request) -> list[Step]:
    """A replica that says how probable each token was."""
    tokens = byte_text().encode("né")
    found = [TokenLogprobs(-0.5 * number, ((token, -0.25), (tokens[0], -2.0))) for number, token in enumerate(tokens)]
    return [(), (Commit(request.id, 0, 1, 0, tuple(tokens), logprobs=tuple(found)),), finish(request, len(tokens))]


EXTRAS: list[dict[str, Any]] = [
    {},
    {"stream_options": {"include_usage": True}},
    {"diffusion": {"stream": "canvas"}},
    {"diffusing": True},
    {"n": 2},
]


@pytest.mark.parametrize("script", [saying("a", "b", reason="length"), watching, likely])
@pytest.mark.parametrize("extra", EXTRAS)
async def test_every_chunk_is_strictly_one_of_the_sdk(script: Any, extra: dict[str, Any]) -> None:
    for chunk in chunks(await post(PATH, CHAT | {"stream": True, **extra}, script)):
        ChatCompletionChunk.model_validate(chunk, strict=True)


@pytest.mark.parametrize("script", [saying("a"), likely])
async def test_every_answer_is_strictly_one_of_the_sdk(script: Any) -> None:
    ChatCompletion.model_validate((await post(PATH, CHAT, script)).json(), strict=True)
    body = {"model": "tiny", "prompt": "hi"}
    Completion.model_validate((await post("/v1/completions", body, script)).json(), strict=True)


async def test_the_chances_of_a_stream_add_up_to_those_of_the_answer() -> None:
    whole = (await post(PATH, CHAT, likely)).json()["choices"][0]
    streamed = chunks(await post(PATH, CHAT | {"stream": True}, likely))
    told = [chunk["choices"][0]["logprobs"] for chunk in streamed]
    assert [entry for each in told if each for entry in each["content"]] == whole["logprobs"]["content"]
    assert [entry["logprob"] for entry in whole["logprobs"]["content"]] == [0.0, -0.5, -1.0]


@dataclass
class EventSource:
    """The parser of html.spec.whatwg.org, section 9.2.6, for lines that end in LF."""

    _id: str = ""
    events: list[tuple[str, str, str]] = field(default_factory=list)
    _pending: bytes = b""
    _type: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._take(line.decode())

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            self._dispatch()
        elif name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value

    def _dispatch(self) -> None:
        if self._data:
            self.events.append((self._id, self._type or "message", "\n".join(self._data)))
        self._data, self._type = [], ""


@given(st.lists(st.integers(0, len(GOLDEN))))
def test_an_event_source_reads_the_same_however_the_bytes_arrive(cuts: list[int]) -> None:
    data, source = GOLDEN.encode(), EventSource()
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        source.feed(data[start:end])
    assert [(number, kind) for number, kind, _ in source.events] == [
        *((str(number), "message") for number in range(1, 6)),
        ("5", "message"),
    ]
    assert source.events[-1][2] == "[DONE]"
    assert all(json.loads(data)["object"] == "chat.completion.chunk" for _, _, data in source.events[:-1])


async def test_a_comment_is_no_event() -> None:
    source = EventSource()
    source.feed(b": keep-alive\n")
    source.feed(b"id: 1\ndata: {}\n\n")
    assert source.events == [("1", "message", "{}")]


async def test_an_event_source_that_was_cut_off_lacks_nothing_and_repeats_nothing() -> None:
    app = app_over({"tiny": model(ScriptedPool(saying("one", "two", "three")))})
    async with client(app) as http:
        stream = await http.post(PATH, json=CHAT | {"stream": True, "store_stream": True})
        whole = EventSource()
        whole.feed(stream.content)
        identity = json.loads(whole.events[0][2])["id"]
        for number in range(len(whole.events)):
            last = whole.events[number - 1][0] if number else ""
            cut = EventSource(last)
            headers = {"last-event-id": last} if last else {}
            rest = await http.get(f"/v1/requests/{identity}/stream", headers=headers)
            cut.feed(rest.content)
            assert whole.events[:number] + cut.events == whole.events


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[int]:
    """The application behind a real socket; the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


BODY = json.dumps({"model": "tiny", "prompt": "x", "max_tokens": 9, "stream": True}).encode()
REQUEST = (
    b"POST /v1/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
    + b"".join(f"{name}: {value}\r\n".encode() for name, value in AUTHORIZED.items())
    + b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


async def read_and_leave(port: int, count: int) -> bytes:
    """The first ``count`` bytes of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    try:
        return await reader.readexactly(count)
    finally:
        writer.transport.abort()


async def test_a_reader_may_leave_at_any_byte() -> None:
    left = asyncio.Semaphore(0)

    def script(request: Request) -> Iterator[Step]:
        try:
            yield ()
            yield from commits(request, [[70], [71]])
            yield asyncio.Event()
        finally:
            left.release()

    pool = ScriptedPool(script)
    async with listening(app_over({"tiny": model(pool)})) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        whole = b""
        while whole.count(b"id: ") < 3 or not whole.endswith(b"\n\n\r\n"):
            whole += await reader.read(1 << 16)
        writer.transport.abort()
        body = whole.index(b"\r\n\r\n")
        for first in range(body, len(whole), 16):
            counts = range(first, min(first + 16, len(whole)))
            read = await asyncio.gather(*(read_and_leave(port, count) for count in counts))
            assert [len(part) for part in read] == list(counts)
        for _ in pool.runs:
            await left.acquire()
    assert len(pool.runs) == 1 + len(whole) - body
    assert sorted(pool.aborted) == sorted(request.id for request in pool.requests)
