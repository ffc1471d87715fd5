from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.gateway import sse
from deployments.gateway.slow_reader import PIECE_BYTES, SlowReader
from tests.deployments.telemetry.recorder import Recorder

SCOPE: Scope = {"type": "http"}
STREAM = [(b"content-type", sse.MEDIA_TYPE.encode())]
FRAMES = [sse.frame({"text": "x" * 100}, number) for number in range(1, 4)]

Write = Callable[[bytes], Coroutine[Any, Any, None]]
Produce = Callable[[Receive, Write], Coroutine[Any, Any, None]]


class Client:
    """Reads while ``reading`` is set, and leaves when ``left`` is. A send to a ``broken`` connection fails."""

    def __init__(self, *, reads: bool) -> None:
        self.messages: list[Message] = []
        self.taken = asyncio.Queue[Message]()
        self.reading, self.left = asyncio.Event(), asyncio.Event()
        self.broken = False
        if reads:
            self.reading.set()

    async def send(self, message: Message) -> None:
        await self.reading.wait()
        if self.broken:
            raise OSError
        self.messages.append(message)
        self.taken.put_nowait(message)

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages if message["type"] == "http.response.body")

    @property
    def complete(self) -> bool:
        return self.messages[-1]["type"] == "http.response.body" and not self.messages[-1]["more_body"]


def streaming(
    produce: Produce,
    *,
    completes: bool = True,
    headers: list[tuple[bytes, bytes]] = STREAM,
) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def body(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await produce(receive, body)
        if completes:
            await send({"type": "http.response.body", "body": b""})

    return app


async def test_the_producer_does_not_wait_for_the_reader() -> None:
    produced = asyncio.Event()

    async def produce(receive: Receive, send: Write) -> None:
        for frame in FRAMES:
            await send(frame)
        produced.set()

    client = Client(reads=False)
    serving = asyncio.create_task(SlowReader(streaming(produce))(SCOPE, client.receive, client.send))
    await produced.wait()
    assert client.messages == []
    client.reading.set()
    await serving
    assert client.body == b"".join(FRAMES)
    assert client.complete


async def test_a_reader_that_keeps_up_gets_each_frame_when_it_comes() -> None:
    client = Client(reads=True)

    async def produce(receive: Receive, send: Write) -> None:
        assert (await client.taken.get())["type"] == "http.response.start"
        for frame in FRAMES:
            await send(frame)
            assert (await client.taken.get())["body"] == frame

    await SlowReader(streaming(produce))(SCOPE, client.receive, client.send)
    assert client.body == b"".join(FRAMES)


async def test_a_reader_that_keeps_up_gets_each_view_of_those_that_come_in_one_go() -> None:
    views = [sse.unnumbered({"diffusion": {"seq": step, "block": 0, "text": "x"}}) for step in range(1, 4)]

    async def produce(receive: Receive, send: Write) -> None:
        for view in views:
            await send(view)

    client = Client(reads=True)
    await SlowReader(streaming(produce))(SCOPE, client.receive, client.send)
    assert client.body == b"".join(views)


async def test_little_is_on_its_way_at_a_time() -> None:
    frame = sse.frame({"text": "x" * 5000}, 1)

    async def produce(receive: Receive, send: Write) -> None:
        await send(frame * 20)

    client = Client(reads=True)
    await SlowReader(streaming(produce))(SCOPE, client.receive, client.send)
    assert client.body == frame * 20
    assert max(len(message.get("body", b"")) for message in client.messages) < PIECE_BYTES + len(frame)


async def test_other_answers_wait_for_their_reader() -> None:
    sent = asyncio.Event()

    async def produce(receive: Receive, send: Write) -> None:
        await send(b"{}")
        sent.set()

    client = Client(reads=False)
    app = SlowReader(streaming(produce, headers=[(b"content-type", b"application/json")]))
    serving = asyncio.create_task(app(SCOPE, client.receive, client.send))
    await asyncio.wait({serving}, timeout=0.001)
    assert not sent.is_set()
    client.reading.set()
    await serving
    assert client.body == b"{}"


async def disconnected(receive: Receive, send: Write) -> None:
    await send(FRAMES[0])
    while (await receive())["type"] != "http.disconnect":
        pass
    await send(FRAMES[1])


async def test_a_client_that_leaves_ends_the_stream() -> None:
    client = Client(reads=True)
    client.left.set()
    await SlowReader(streaming(disconnected))(SCOPE, client.receive, client.send)
    assert client.body == b"".join(FRAMES[:2])


async def test_a_client_that_takes_nothing_for_too_long_counts_as_gone() -> None:
    client = Client(reads=False)
    await SlowReader(streaming(disconnected), patience_seconds=0.001)(SCOPE, client.receive, client.send)
    assert client.messages == []


async def test_a_broken_connection_is_told_to_the_producer() -> None:
    client = Client(reads=True)
    client.broken = True
    await SlowReader(streaming(disconnected))(SCOPE, client.receive, client.send)
    assert client.messages == []


async def test_what_came_before_a_failure_is_delivered() -> None:
    async def produce(receive: Receive, send: Write) -> None:
        await send(FRAMES[0])
        raise ValueError("the stream broke")

    client = Client(reads=True)
    with pytest.raises(ValueError, match="the stream broke"):
        await SlowReader(streaming(produce))(SCOPE, client.receive, client.send)
    assert client.body == FRAMES[0]
    assert not client.complete


async def test_an_answer_that_its_producer_cuts_stays_cut() -> None:
    async def produce(receive: Receive, send: Write) -> None:
        await send(FRAMES[0])

    client = Client(reads=True)
    await SlowReader(streaming(produce, completes=False))(SCOPE, client.receive, client.send)
    assert client.body == FRAMES[0]
    assert not client.complete


@pytest.mark.parametrize("produces", [True, False])
async def test_cancelling_leaves_no_task(produces: bool) -> None:
    """While the stream is produced, and while a slow reader takes the rest of it."""
    begun = asyncio.Event()

    async def produce(receive: Receive, send: Write) -> None:
        await send(FRAMES[0])
        begun.set()
        if produces:
            await asyncio.get_running_loop().create_future()

    before = asyncio.all_tasks()
    client = Client(reads=False)
    serving = asyncio.create_task(SlowReader(streaming(produce))(SCOPE, client.receive, client.send))
    await begun.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert asyncio.all_tasks() == before


async def test_what_is_not_http_passes() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    client = Client(reads=True)
    await SlowReader(app)({"type": "lifespan"}, client.receive, client.send)
    assert seen == [{"type": "lifespan"}]


def traced(*, recorded: bool = True) -> list[tuple[bytes, bytes]]:
    """The headers of a stream whose request is ``recorded`` or not."""
    return [*STREAM, (b"traceparent", f"00-{'a' * 32}-{'b' * 16}-0{int(recorded)}".encode())]


VIEWS = [sse.unnumbered({"diffusion": {"seq": step, "block": 0, "text": "x"}}) for step in range(1, 4)]


async def test_a_span_says_how_a_stream_was_taken() -> None:
    recorder, client, produced = Recorder(), Client(reads=False), asyncio.Event()

    async def produce(receive: Receive, send: Write) -> None:
        for frame in (FRAMES[0], *VIEWS):
            await send(frame)
        produced.set()

    app = SlowReader(streaming(produce, headers=traced()), tracer=recorder.tracer)
    serving = asyncio.create_task(app(SCOPE, client.receive, client.send))
    await produced.wait()
    client.reading.set()
    await serving
    span = recorder.only
    assert (span.name, span.trace, span.parent, span.failed) == ("stream", "a" * 32, "b" * 16, False)
    assert span.attributes.pop("dllm.stream.stall_seconds") > 0
    assert span.attributes == {"dllm.stream.bytes": len(FRAMES[0] + VIEWS[2]), "dllm.stream.dropped_frames": 2}


@pytest.mark.parametrize("broken", [True, False])
async def test_a_span_says_that_its_client_left(broken: bool) -> None:
    recorder, client, begun = Recorder(), Client(reads=broken), asyncio.Event()
    client.broken = broken

    async def produce(receive: Receive, send: Write) -> None:
        await send(FRAMES[0])
        begun.set()
        await receive() if broken else await asyncio.get_running_loop().create_future()

    app = SlowReader(streaming(produce, headers=traced()), tracer=recorder.tracer)
    serving = asyncio.create_task(app(SCOPE, client.receive, client.send))
    await begun.wait()
    if not broken:
        serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert recorder.only.attributes["dllm.outcome"] == "cancelled"
    assert recorder.only.attributes["dllm.stream.bytes"] == 0


async def test_a_stream_of_a_request_that_is_not_recorded_has_no_span() -> None:
    recorder, client = Recorder(), Client(reads=True)

    async def produce(receive: Receive, send: Write) -> None:
        await send(FRAMES[0])

    for headers in (traced(recorded=False), STREAM):
        app = SlowReader(streaming(produce, headers=headers), tracer=recorder.tracer)
        await app(SCOPE, client.receive, client.send)
    assert recorder.spans == []
