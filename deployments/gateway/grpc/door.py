"""What stands before every gateway over gRPC, in whichever process has the client's socket: Ray Serve's proxy or,
behind HAProxy, the gateway's own replica.

Ray Serve shows a method little of its call and its client all of a failure, down to the traceback. The door tells the
method how much time the call has, gives the call its id, sends metadata before the first message, and lets out no
status but those that the gateway has meant.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, NoReturn, Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import to_status
from opentelemetry.trace import Tracer

from deployments.errors import (
    ClientClosedRequest,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    Overloaded,
    ServingError,
    Unavailable,
)
from deployments.gateway.grpc.call import Call
from deployments.gateway.grpc.reply import Reply
from deployments.gateway.grpc.status import status_of
from deployments.gateway.ids import brought_id, ulid
from deployments.gateway.outflow import Outflow

logger = logging.getLogger(__name__)

Handler = Callable[[Any, Any], Any]
Factory = Callable[..., Handler]
Context = grpc.aio.ServicerContext[Any, Any]

MEANT: Mapping[grpc.StatusCode, type[ServingError]] = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.NOT_FOUND: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}
"""What Ray Serve's own refusals mean: that every gateway is busy, that none is there, not yet, or not in time."""


class Server(Protocol):
    """The part of Ray Serve's server that makes a handler of a method."""

    service_handler_factory: Factory
    _override_method_handler: Callable[..., grpc.RpcMethodHandler[Any, Any]]


class Unreadable:
    """In place of a request whose bytes are not of its type."""


@contextmanager
def behind_the_door(server: Server, tracer: Tracer) -> Iterator[None]:
    """The methods that are added to ``server`` meanwhile are called through the door; ``tracer`` makes the spans of
    their streams.
    """
    factory, override = server.service_handler_factory, server._override_method_handler

    def tolerant(service_method: str, method_handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        return override(service_method, method_handler._replace(request_deserializer=_read(method_handler)))

    def through_the_door(service_method: str, streaming_type: Any) -> Handler:
        handler = factory(service_method=service_method, streaming_type=streaming_type)
        return _streaming(handler, tracer) if streaming_type == "unary_stream" else _unary(handler)

    server.service_handler_factory, server._override_method_handler = through_the_door, tolerant
    try:
        yield
    finally:
        server.service_handler_factory, server._override_method_handler = factory, override


def _read(method_handler: Any) -> Callable[[bytes], Any]:
    """gRPC tells of a request that cannot be read as of a defect of the server, in the words of the exception."""

    def read(data: bytes) -> Any:
        try:
            return method_handler.request_deserializer(data)
        except DecodeError:
            return Unreadable()

    return read


def _unary(handler: Callable[[Any, Call], Awaitable[bytes]]) -> Handler:
    async def answer(request: Any, context: Context) -> bytes:
        call = _call(context)
        await _require_readable(request, context, call)
        try:
            data = await handler(request, call)
        except Exception:
            logger.exception("call %s failed", call.request_id)
            data = b""
        reply = Reply.of(data) if data else _refusal(call)
        if reply.failed or reply.payload is None:
            await _fail(context, reply)
        _require_client(context)
        await context.send_initial_metadata(_pairs(reply))
        return reply.payload

    return answer


def _streaming(handler: Callable[[Any, Call], AsyncGenerator[bytes]], tracer: Tracer) -> Handler:
    async def answer(request: Any, context: Context) -> None:
        call = _call(context)
        await _require_readable(request, context, call)
        with Outflow(tracer) as outflow:
            async with aclosing(_replies(call, handler(request, call))) as replies:
                async for reply in replies:
                    _require_client(context)
                    if reply.failed:
                        await _fail(context, reply)
                    if reply.metadata:
                        outflow.open(reply.metadata.get("traceparent", ""))
                        await context.send_initial_metadata(_pairs(reply))
                    if reply.payload is not None:
                        with outflow.giving(len(reply.payload)):
                            await context.write(reply.payload)

    return answer


async def _require_readable(request: Any, context: Context, call: Call) -> None:
    if isinstance(request, Unreadable):
        await _fail(context, _told(InvalidRequest("The bytes are no message of this method."), call))


def _require_client(context: Context) -> None:
    """Raises ``CancelledError`` when the client has left, of which Ray Serve's proxy makes a status, or waits no
    longer: gRPC (1.85) never frees what it is given to send after that.
    """
    task, remaining = asyncio.current_task(), context.time_remaining()
    if (task is not None and task.cancelling()) or (remaining is not None and remaining <= 0):
        raise asyncio.CancelledError


async def _replies(call: Call, received: AsyncGenerator[bytes]) -> AsyncGenerator[Reply]:
    """The replies of a method, and at the end what Ray Serve has refused."""
    try:
        async with _cancelled_unless_read(received):
            async for data in received:
                yield Reply.of(data)
    except Exception:
        logger.exception("call %s failed", call.request_id)
        call.set_code(grpc.StatusCode.INTERNAL)
    if call.code() not in (0, grpc.StatusCode.OK):
        yield _refusal(call)


@asynccontextmanager
async def _cancelled_unless_read(received: AsyncGenerator[bytes]) -> AsyncGenerator[None]:
    """Cancels the method unless ``received`` is at its end.

    Ray Serve's proxy does so only when it is cancelled while it waits for the next message. A client who leaves while
    a message is written, or a proxy whose generator is closed, leaves a method that goes on to its end.
    """
    try:
        yield
    except BaseException:
        # The cancellation of a call may come after the failure of a write has shown that its client is gone.
        await asyncio.shield(asyncio.ensure_future(_cancel(received)))
        raise


async def _cancel(received: AsyncGenerator[bytes]) -> None:
    following = asyncio.ensure_future(anext(received, b""))
    await asyncio.sleep(0)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await received.aclose()


def _refusal(call: Call) -> Reply:
    """What is told of a call that no gateway has answered. Only the log has what Ray Serve says of it."""
    code = call.code()
    error = MEANT.get(code, InternalError)()
    if code == grpc.StatusCode.CANCELLED:
        error = ClientClosedRequest()
    else:
        logger.warning("call %s was not answered: %s", call.request_id, call.details())
    return _told(error, call)


def _told(error: ServingError, call: Call) -> Reply:
    """The end of a call that failed before it came to a gateway, or never came there."""
    status = status_of(error, call.request_id, os.urandom(1)[0] / 256)
    return Reply(status.SerializeToString(), {"x-request-id": call.request_id}, failed=True)


async def _fail(context: Context, reply: Reply) -> NoReturn:
    _require_client(context)
    status = to_status(Status.FromString(reply.payload or b""))
    await context.abort(status.code, status.details, (*_pairs(reply), *status.trailing_metadata))


def _call(context: Context) -> Call:
    brought = dict(context.invocation_metadata() or ()).get("x-request-id")
    request_id = brought_id(brought if isinstance(brought, str) else None)
    return Call(context, request_id or f"req_{ulid(time.time(), os.urandom)}")


def _pairs(reply: Reply) -> tuple[tuple[str, str], ...]:
    return tuple(reply.metadata.items())
