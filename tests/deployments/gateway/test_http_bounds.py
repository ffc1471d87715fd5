"""Bounds of HTTP/1.1 over real sockets: what exceeds them is refused in one shape, and whoever dawdles is let go."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from deployments.gateway.http_bounds import BoundedHttp, HttpBounds

LONG = 60.0
HEAD = b"POST / HTTP/1.1\r\nhost: a\r\n"
KNOWN_CODES = {400: "invalid_request_error", 408: "request_timeout", 413: "request_too_large", 503: "overloaded"}


class Echo:
    """Answers with how long the body was; ``/early`` before it came, ``/stream`` a piece each time ``go`` is set."""

    def __init__(self) -> None:
        self.go, self.begun = asyncio.Event(), asyncio.Event()
        self.answered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = 0
        while scope["path"] != "/early":
            message = await receive()
            length += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            self.begun.set()
            await self.go.wait()
        await send({"type": "http.response.body", "body": str(length).encode()})
        self.answered += 1


@asynccontextmanager
async def listening(app: Echo | None = None, **bounds: Any) -> AsyncIterator[int]:
    """A server with these bounds; its port."""

    known = HttpBounds(**({"head_seconds": LONG, "request_seconds": LONG} | bounds))
    protocol = type("Protocol", (BoundedHttp,), {"bounds": known})
    config = uvicorn.Config(app or Echo(), http=protocol, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def told(port: int, *pieces: bytes) -> bytes:
    """All that comes back until the server ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(LONG):
            return await reader.read(-1)
    except ConnectionResetError:
        return b""
    finally:
        writer.transport.abort()


def refused(answer: bytes) -> int:
    """The status of a refusal in the shape of all errors."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    error = json.loads(body)
    assert error["error"]["code"] == KNOWN_CODES[status]
    assert f"x-request-id: {error['request_id']}".encode() in head
    assert b"connection: close" in head
    return status


TOO_MUCH = {
    "a long URL": b"GET /" + b"a" * 600 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    "an endless URL": b"GET /" + b"a" * 3000,
    "many headers": HEAD + b"a: b\r\n" * 20 + b"\r\n",
    "long headers": HEAD + b"".join(b"a%d: %b\r\n" % (i, b"b" * 300) for i in range(8)) + b"\r\n",
    "an endless header": HEAD + b"a: " + b"b" * 3000,
    "an endless name": HEAD + b"a" * 3000,
    "many trailers": HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"a: b\r\n" * 20 + b"\r\n",
    "an endless trailer": HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\na: " + b"b" * 3000,
    "an endless extension": HEAD + b"transfer-encoding: chunked\r\n\r\n1;a=" + b"b" * 3000,
}


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_what_surrounds_a_body_is_bounded(name: str) -> None:
    async with listening(url=500, head=2000, headers=10) as port:
        assert refused(await told(port, TOO_MUCH[name])) == 413


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0\0",
        b"GET / HTTP/9.9\r\n\r\n",
        HEAD + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        HEAD + b"content-length: -1\r\n\r\n",
        HEAD + b"a b: c\r\n\r\n",
        HEAD + b"a: b\0c\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
async def test_what_is_no_http_is_a_bad_request(content: bytes) -> None:
    async with listening() as port:
        assert refused(await told(port, content)) == 400


async def test_a_body_in_small_chunks_is_read_whole() -> None:
    async with listening(head=500) as port:
        chunks = b"1\r\na\r\n" * 10_000 + b"0\r\n\r\n"
        answer = await told(port, HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n", chunks)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"10000" in answer


@pytest.mark.parametrize("sent", [b"", b"POST / HT", b"\r\n", HEAD, HEAD + b"a: b"])
async def test_a_slow_head_is_given_up(sent: bytes) -> None:
    async with listening(head_seconds=0.05) as port:
        assert refused(await told(port, sent)) == 408


async def test_a_slow_second_head_is_given_up() -> None:
    async with listening(head_seconds=0.05) as port:
        answer = await told(port, HEAD + b"content-length: 0\r\n\r\n", b"POST")
    first, _, second = answer.partition(b"0\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    assert refused(second) == 408


async def test_a_slow_body_is_given_up() -> None:
    async with listening(request_seconds=0.05) as port:
        assert refused(await told(port, HEAD + b"content-length: 5\r\n\r\nab")) == 408


async def test_a_body_that_nobody_wants_ends_with_its_time() -> None:
    async with listening(request_seconds=0.05) as port:
        answer = await told(port, HEAD.replace(b"/ ", b"/early ") + b"content-length: 5\r\n\r\nab")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"0\r\n\r\n")


async def test_an_answer_that_takes_long_is_not_held_against_its_client() -> None:
    app = Echo()
    async with listening(app, head_seconds=0.02, request_seconds=0.02) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD.replace(b"/ ", b"/stream ") + b"content-length: 0\r\nconnection: close\r\n\r\n\r\n")
        await app.begun.wait()
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, app.go.set)
        answer = await reader.read(-1)
        writer.transport.abort()
    assert b"begun" in answer
    assert answer.endswith(b"0\r\n\r\n")


async def test_requests_that_wait_behind_one_another_are_few() -> None:
    app = Echo()
    async with listening(app, pipelined=2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        one = HEAD + b"content-length: 0\r\n\r\n"
        writer.write(HEAD.replace(b"/ ", b"/stream ") + b"content-length: 0\r\n\r\n")
        await app.begun.wait()
        writer.write(one * 3)
        with suppress(ConnectionResetError):
            assert b"503" not in await reader.read(-1)
        writer.transport.abort()
        app.go.set()
    assert app.answered == 1


async def test_connections_are_bounded() -> None:
    async with listening(connections=1) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        assert refused(await told(port, b"")) == 503
        writer.transport.abort()


async def test_an_upgrade_is_an_ordinary_request() -> None:
    async with listening() as port:
        upgrade = b"connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        answer = await told(port, b"GET / HTTP/1.1\r\nhost: a\r\n" + upgrade + b"sec-websocket-key: YQ==\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
