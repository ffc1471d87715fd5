"""What all methods do alike: let the caller in, answer, and tell a failure by the status alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from deployments.errors import RequestTooLarge
from deployments.gateway.arrival import Arrival
from deployments.gateway.grpc.envelope import CallContext, Envelope
from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2 import (
    Event,
    ResumeGenerateResponse,
    StreamGenerateResponse,
    StreamInfillResponse,
)
from deployments.gateway.grpc.reply import Reply
from deployments.gateway.grpc.services import method_of
from deployments.gateway.grpc.watched import WatchedCall
from deployments.gateway.witness import Witness, within
from deployments.telemetry.observation import Observation

if TYPE_CHECKING:
    from deployments.gateway.context import Gateway
    from deployments.tenancy.verification import Verifier

Request = TypeVar("Request", bound=Message)


@dataclass(frozen=True, slots=True)
class Answer:
    """A message, and what is told beside it."""

    message: Message
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """Events, which are to be taken at once and once, and what is told beside them."""

    events: AsyncGenerator[Event]
    headers: Mapping[str, str] = field(default_factory=dict)


Unary = Callable[["Gateway", Arrival, Request], Awaitable[Answer]]
Streaming = Callable[["Gateway", Arrival, Request], Awaitable[Stream]]
Open = Callable[["Gateway"], Awaitable[Message]]
Watching = Callable[["Gateway"], AsyncGenerator[Message]]
Response = StreamGenerateResponse | StreamInfillResponse | ResumeGenerateResponse


class Calls:
    """Answers calls for ``gateway`` of those whom ``verifier`` knows."""

    def __init__(self, gateway: Gateway, verifier: Verifier) -> None:
        self.gateway, self._verifier = gateway, verifier
        self._witness = Witness.of(gateway)

    async def answer(self, request: Request, context: CallContext, work: Unary[Request]) -> Reply:
        """The answer of ``work``, for those with a key."""
        envelope = Envelope.of(context)
        call = WatchedCall(self._witness, method_of(request), envelope.headers)
        with closing(call):
            try:
                with within(call.seen):
                    answer = await work(self.gateway, await self._arrival(request, envelope, call.seen), request)
            except Exception as error:
                return call.failed(error)
            call.completed()
            return call.reply(answer.message, {**call.identity, **answer.headers})

    async def stream(
        self, request: Request, context: CallContext, work: Streaming[Request], response: type[Response]
    ) -> AsyncGenerator[Reply]:
        """The events of ``work`` as they come, each a ``response``; what is told beside them goes before the first."""
        envelope = Envelope.of(context)
        call = WatchedCall(self._witness, method_of(request, streams=True), envelope.headers)
        with closing(call):
            try:
                with within(call.seen):
                    stream = await work(self.gateway, await self._arrival(request, envelope, call.seen), request)
                is_first = True
                async with aclosing(stream.events) as events:
                    async for event in events:
                        yield call.reply(response(event=event), {**call.identity, **stream.headers} if is_first else {})
                        is_first = False
                call.completed()
            except Exception as error:
                yield call.failed(error)

    async def open(self, request: Message, context: CallContext, work: Open) -> Reply:
        """The answer of ``work``, for everyone."""
        call = WatchedCall(self._witness, method_of(request), Envelope.of(context).headers, quiet=True)
        with closing(call):
            try:
                message = await work(self.gateway)
            except Exception as error:
                return call.failed(error)
            call.completed()
            return call.reply(message, call.identity)

    async def watch(self, request: Message, context: CallContext, work: Watching) -> AsyncGenerator[Reply]:
        """The answers of ``work`` as they come, for everyone."""
        headers = Envelope.of(context).headers
        call = WatchedCall(self._witness, method_of(request, streams=True), headers, quiet=True)
        beside: Mapping[str, str] = call.identity
        with closing(call):
            try:
                async with aclosing(work(self.gateway)) as messages:
                    async for message in messages:
                        yield call.reply(message, beside)
                        beside = {}
                call.completed()
            except Exception as error:
                yield call.failed(error)

    async def _arrival(self, request: Message, envelope: Envelope, seen: Observation) -> Arrival:
        """Raises the refusals of the verifier, :class:`RequestTooLarge` and :class:`InvalidRequest`."""
        access = await self._verifier.verify(envelope.headers.get("authorization"), envelope.address)
        seen.tenant = access.tenant.name
        most = self.gateway.settings.max_body_bytes
        if request.ByteSize() > most:
            raise RequestTooLarge(f"The body has more than {most} bytes.")
        payload = request.SerializeToString(deterministic=True)
        return Arrival(access, seen.request_id, request.DESCRIPTOR.full_name, envelope.terms(), payload, seen)
