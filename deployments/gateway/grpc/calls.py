"""What all methods do alike: let the caller in, answer, and tell a failure by the status alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from deployments.errors import RequestTooLarge
from deployments.gateway.arrival import Arrival
from deployments.gateway.failures import told
from deployments.gateway.grpc.envelope import CallContext, Envelope
from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2 import (
    Event,
    ResumeGenerateResponse,
    StreamGenerateResponse,
    StreamInfillResponse,
)
from deployments.gateway.grpc.reply import Reply
from deployments.gateway.grpc.status import status_of
from deployments.gateway.limit_headers import headers_of_refusal

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

    async def answer(self, request: Request, context: CallContext, work: Unary[Request]) -> Reply:
        """The answer of ``work``, for those with a key."""
        envelope = self._envelope(context)
        try:
            arrival = await self._arrival(request, envelope)
            answer = await work(self.gateway, arrival, request)
        except Exception as error:
            return self._failed(error, envelope)
        return Reply(answer.message.SerializeToString(), {**envelope.identity, **answer.headers})

    async def stream(
        self, request: Request, context: CallContext, work: Streaming[Request], response: type[Response]
    ) -> AsyncGenerator[Reply]:
        """The events of ``work`` as they come, each a ``response``; what is told beside them goes before the first."""
        envelope = self._envelope(context)
        try:
            stream = await work(self.gateway, await self._arrival(request, envelope), request)
            beside: Mapping[str, str] = {**envelope.identity, **stream.headers}
            async with aclosing(stream.events) as events:
                async for event in events:
                    yield Reply(response(event=event).SerializeToString(), beside)
                    beside = {}
        except Exception as error:
            yield self._failed(error, envelope)

    async def open(self, context: CallContext, work: Open) -> Reply:
        """The answer of ``work``, for everyone."""
        envelope = self._envelope(context)
        try:
            message = await work(self.gateway)
        except Exception as error:
            return self._failed(error, envelope)
        return Reply(message.SerializeToString(), envelope.identity)

    async def watch(self, context: CallContext, work: Watching) -> AsyncGenerator[Reply]:
        """The answers of ``work`` as they come, for everyone."""
        envelope = self._envelope(context)
        beside = envelope.identity
        try:
            async with aclosing(work(self.gateway)) as messages:
                async for message in messages:
                    yield Reply(message.SerializeToString(), beside)
                    beside = {}
        except Exception as error:
            yield self._failed(error, envelope)

    def _envelope(self, context: CallContext) -> Envelope:
        return Envelope.of(context, self.gateway.clock, self.gateway.entropy)

    async def _arrival(self, request: Message, envelope: Envelope) -> Arrival:
        """Raises the refusals of the verifier, :class:`RequestTooLarge` and :class:`InvalidRequest`."""
        access = await self._verifier.verify(envelope.headers.get("authorization"), envelope.address)
        most = self.gateway.settings.max_body_bytes
        if request.ByteSize() > most:
            raise RequestTooLarge(f"The body has more than {most} bytes.")
        payload = request.SerializeToString(deterministic=True)
        return Arrival(access, envelope.request_id, request.DESCRIPTOR.full_name, envelope.terms(), payload)

    def _failed(self, error: Exception, envelope: Envelope) -> Reply:
        failure, jitter = told(error, envelope.request_id), self.gateway.entropy(1)[0] / 256
        headers = {**envelope.identity, **headers_of_refusal(failure), **failure.headers(jitter)}
        return Reply(status_of(failure, envelope.request_id, jitter).SerializeToString(), headers, failed=True)
