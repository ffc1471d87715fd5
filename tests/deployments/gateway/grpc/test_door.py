"""What clients are told when Ray Serve itself fails, and what methods are told of a call."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from unittest.mock import AsyncMock, Mock

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_status.rpc_status import from_call
from opentelemetry.trace import NoOpTracer
from ray.serve._private.grpc_util import gRPCGenericServer

from deployments.gateway.grpc.call import RAY_REQUEST_ID, REMAINING, REQUEST_ID, Call
from deployments.gateway.grpc.door import behind_the_door
from deployments.gateway.grpc.reply import Reply
from deployments.gateway.grpc.services import add_health

TRACEBACK = "Traceback (most recent call last): pid=4711, ip=10.0.0.1"
SERVING = HealthCheckResponse(status=HealthCheckResponse.SERVING).SerializeToString()
REFUSALS = [
    (grpc.StatusCode.INTERNAL, grpc.StatusCode.INTERNAL, "internal_error"),
    (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, "internal_error"),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE, "overloaded"),
    (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE, "unavailable"),
    (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE, "unavailable"),
    (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED, "deadline_exceeded"),
    (grpc.StatusCode.CANCELLED, grpc.StatusCode.CANCELLED, "client_closed_request"),
]

Unary = Callable[[Call], bytes]


@asynccontextmanager
async def door(answer: Unary, *before: Reply) -> AsyncIterator[HealthStub]:
    """A client of that."""
    async with listening(answer, *before) as channel:
        yield HealthStub(channel)


@asynccontextmanager
async def listening(answer: Unary, *before: Reply) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server whose handlers give ``before``, if they stream, and then what ``answer`` gives."""

    async def unary(request: Any, call: Call) -> bytes:
        return answer(call)

    async def stream(request: Any, call: Call) -> AsyncGenerator[bytes]:
        for reply in before:
            yield reply.SerializeToString()
        if data := answer(call):
            yield data

    async with channel_to(
        lambda service_method, streaming_type: stream if "stream" in streaming_type else unary
    ) as channel:
        yield channel


@asynccontextmanager
async def channel_to(factory: Callable[..., Any]) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server whose handlers, behind the door, ``factory`` makes."""
    server = gRPCGenericServer(factory)
    add_health(Mock(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


def refusing(code: grpc.StatusCode) -> Unary:
    """Ray Serve sets a status and gives no message."""

    def answer(call: Call) -> bytes:
        call.set_code(code)
        call.set_details(TRACEBACK)
        return b""

    return answer


def raising(call: Call) -> bytes:
    raise RuntimeError(TRACEBACK)


def told(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str]:
    """The status and the code, when nothing of the cause is told."""
    assert "Traceback" not in f"{error.details()} {error.trailing_metadata()} {error.initial_metadata()}"
    info = ErrorInfo()
    assert from_call(error).details[0].Unpack(info)
    assert dict(error.trailing_metadata())["x-request-id"] == "r"
    return error.code(), info.reason


METADATA = ((REQUEST_ID, "r"),)


@pytest.mark.parametrize(("code", "status", "reason"), REFUSALS)
async def test_what_ray_serve_refuses_is_told_in_our_words(
    code: grpc.StatusCode, status: grpc.StatusCode, reason: str
) -> None:
    async with door(refusing(code), Reply(SERVING)) as client:
        with pytest.raises(grpc.aio.AioRpcError) as unary:
            await client.Check(HealthCheckRequest(), metadata=METADATA)
        answers = client.Watch(HealthCheckRequest(), metadata=METADATA)
        assert (await anext(aiter(answers))).status == HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as stream:
            await anext(aiter(answers))
    assert told(unary.value) == told(stream.value) == (status, reason)


async def test_what_is_raised_is_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    async with door(raising) as client:
        for call in (client.Check, client.Watch):
            answer = call(HealthCheckRequest(), metadata=METADATA)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await (answer if call is client.Check else anext(aiter(answer)))
            assert told(refused.value) == (grpc.StatusCode.INTERNAL, "internal_error")
    assert caplog.text.count(TRACEBACK) == 2


async def test_a_method_is_told_the_id_and_the_time_of_its_call() -> None:
    seen: list[dict[str, str | bytes]] = []

    def answer(call: Call) -> bytes:
        seen.append(dict(call.invocation_metadata()))
        return Reply(SERVING, {"a": "b"}).SerializeToString()

    async with door(answer) as client:
        await client.Check(HealthCheckRequest(), timeout=100, metadata=((REMAINING, "7"), (RAY_REQUEST_ID, "x")))
        call = client.Check(HealthCheckRequest(), metadata=METADATA)
        assert dict(await call.initial_metadata())["a"] == "b"
    timed, untimed = seen
    assert 50_000 < int(timed[REMAINING]) <= 101_000
    assert str(timed[REQUEST_ID]).startswith("req_")
    assert timed[RAY_REQUEST_ID] == timed[REQUEST_ID]
    assert REMAINING not in untimed
    assert untimed[REQUEST_ID] == untimed[RAY_REQUEST_ID] == "r"


async def test_metadata_goes_before_the_first_message() -> None:
    replies = [Reply(SERVING, {"a": "b"}), Reply(SERVING)]
    async with door(lambda call: b"", *replies) as client:
        call = client.Watch(HealthCheckRequest())
        assert dict(await call.initial_metadata())["a"] == "b"
        assert [answer.status async for answer in call] == [HealthCheckResponse.SERVING] * 2


async def test_a_client_that_leaves_ends_the_method() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(request: Any, call: Call) -> AsyncGenerator[bytes]:
        try:
            while True:
                yield Reply(SERVING).SerializeToString()
                begun.set()
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    async with channel_to(lambda service_method, streaming_type: endless) as channel:
        call = HealthStub(channel).Watch(HealthCheckRequest())
        await begun.wait()
        call.cancel()
        async with asyncio.timeout(10):
            await ended.wait()


class OfAProxy:
    """A stream that knows of a client who has left as Ray Serve's proxy does: by its cancellation while it waits."""

    def __init__(self, messages: int) -> None:
        self._messages = messages
        self.cancelled = asyncio.Event()

    async def __call__(self, request: Any, call: Call) -> AsyncGenerator[bytes]:
        for number in itertools.count():
            try:
                await asyncio.sleep(0 if number < self._messages else 60)
            except asyncio.CancelledError:
                self.cancelled.set()
                return
            yield Reply(b"x" * (1 << 20)).SerializeToString()

    async def is_cancelled(self) -> None:
        async with asyncio.timeout(10):
            await self.cancelled.wait()


@pytest.mark.parametrize("messages", [1, 100])
async def test_a_client_that_leaves_cancels_the_method(messages: int) -> None:
    """While the next message is awaited, or, since it does not read, while one is written."""
    stream = OfAProxy(messages)
    async with channel_to(lambda service_method, streaming_type: stream) as channel:
        watch: Any = channel.unary_stream("/grpc.health.v1.Health/Watch")
        call = watch(b"")
        await call.read()
        call.cancel()
        await stream.is_cancelled()


async def test_a_client_that_is_found_gone_before_it_is_said_cancels_the_method() -> None:
    stream, server = OfAProxy(100), Mock()
    server.service_handler_factory = lambda service_method, streaming_type: stream

    async def fail(payload: bytes) -> None:
        asyncio.get_running_loop().call_soon(task.cancel)
        raise ConnectionError

    context = Mock(write=fail, time_remaining=lambda: None, invocation_metadata=tuple)
    with behind_the_door(server, NoOpTracer()):
        handler = server.service_handler_factory(service_method="a/b", streaming_type="unary_stream")
    task = asyncio.create_task(handler(HealthCheckRequest(), context))
    await asyncio.gather(task, return_exceptions=True)
    await stream.is_cancelled()


@pytest.mark.parametrize("streaming_type", ["unary_unary", "unary_stream"])
@pytest.mark.parametrize("waits", [True, False])
async def test_a_client_that_has_gone_is_told_nothing(waits: bool, streaming_type: str) -> None:
    """gRPC would keep for ever what it is given to send to one who has left, or whose deadline has passed."""
    begun, server = asyncio.Event(), Mock()

    async def unary(request: Any, call: Call) -> bytes:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60 if waits else 0)
        return refusing(grpc.StatusCode.CANCELLED)(call) if waits else Reply(SERVING).SerializeToString()

    async def stream(request: Any, call: Call) -> AsyncGenerator[bytes]:
        if data := await unary(request, call):
            yield data

    server.service_handler_factory = lambda service_method, streaming_type: (
        stream if streaming_type == "unary_stream" else unary
    )
    context = AsyncMock(time_remaining=lambda: 9.0 if waits else 0.0, invocation_metadata=tuple)
    with behind_the_door(server, NoOpTracer()):
        handler = server.service_handler_factory(service_method="a/b", streaming_type=streaming_type)
    task = asyncio.create_task(handler(HealthCheckRequest(), context))
    await begun.wait()
    if waits:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert context.mock_calls == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\xff", b"\x0a\x02\xff\xfe", b"\x0b" * 200])
async def test_bytes_that_are_no_message_are_the_clients_fault(data: bytes, stream: bool) -> None:
    def never(call: Call) -> bytes:
        raise AssertionError

    async with listening(never) as channel:
        unary: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        streaming: Any = channel.unary_stream("/grpc.health.v1.Health/Watch")
        call: Any = streaming(data) if stream else unary(data)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            _ = [answer async for answer in call] if stream else await call
    info = ErrorInfo()
    assert failed.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert from_call(failed.value).details[0].Unpack(info)
    assert info.reason == "invalid_request_error"


@pytest.mark.parametrize("name", ["application", "multiplexed_model_id", "session_id"])
async def test_nobody_gives_orders_to_ray_serve(name: str) -> None:
    seen: list[str] = []

    def note(call: Call) -> bytes:
        seen.extend(key for key, _ in call.invocation_metadata())
        return Reply(SERVING).SerializeToString()

    async with door(note) as health:
        await health.Check(HealthCheckRequest(), metadata=((name, "a"), ("mine", "b")))
    assert name not in seen
    assert "mine" in seen
