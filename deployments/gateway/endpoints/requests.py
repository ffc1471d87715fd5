"""What becomes of a request whose id its client has: its record, its stream once more, its end."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from deployments.errors import InvalidRequest
from deployments.execution.entries import committed_tokens
from deployments.gateway.answers import RequestAnswer
from deployments.gateway.auth import access_of
from deployments.gateway.context import Gateway, observation_of
from deployments.gateway.documentation import answered, streamed
from deployments.gateway.pacing import paced
from deployments.gateway.records import cancelled, find_record, log_of
from deployments.gateway.resumption import resume_after
from deployments.gateway.stream import EventStream
from deployments.gateway.telling import writer_of
from deployments.state.record import RequestRecord

LastEventId = Annotated[str | None, Header(description="The number of the last frame that was received.")]
StartingAfter = Annotated[str | None, Query(description="The same; the header goes first.")]


def routes(gateway: Gateway) -> APIRouter:
    """Requests, by the ids of their answers."""
    router = APIRouter(prefix="/v1/requests", tags=["requests"])

    @router.get("/{answer_id}", response_model=None, responses=answered(RequestAnswer))
    async def record(request: Request, answer_id: str) -> dict[str, Any]:
        """What is known of a request of the caller's tenant."""
        return await shown(await find_record(gateway, access_of(request), answer_id))

    @router.get("/{answer_id}/stream", responses=streamed())
    async def stream(
        request: Request, answer_id: str, last_event_id: LastEventId = None, starting_after: StartingAfter = None
    ) -> Response:
        """Its stream behind a frame that was received, as it was and as it goes on."""
        after = resume_after(last_event_id, starting_after)
        return resumed(gateway, request, await find_record(gateway, access_of(request), answer_id), after)

    @router.post("/{answer_id}/cancel", response_model=None, responses=answered(RequestAnswer))
    async def cancel(request: Request, answer_id: str) -> dict[str, Any]:
        """End it if it runs; its canvas is free within one step."""
        return await shown(await cancelled(gateway, await find_record(gateway, access_of(request), answer_id)))

    async def shown(record: RequestRecord) -> dict[str, Any]:
        return _shown(record, await log_of(gateway, record))

    return router


def resumed(gateway: Gateway, request: Request, record: RequestRecord, after: int | None) -> EventStream:
    """The stream of a request behind frame ``after``. Who leaves it does not end the request.

    Of several choices each is a request of its own, and their streams were told as one, which is not told again.
    """
    if record.parameters.get("choices", 1) > 1:
        raise InvalidRequest("The stream of a request for several answers cannot be told again.", parameter="n")
    writer = writer_of(record, after)
    parts = paced(gateway.executions.follow(record.key), gateway.settings.keep_alive_seconds)
    seen = observation_of(request)
    seen.model, seen.answer_id, seen.streams = record.model, record.id, True
    return EventStream(writer.begin(), parts, writer, record.parameters["request_id"], {}, seen)


def _shown(record: RequestRecord, log: tuple[bytes, ...]) -> dict[str, Any]:
    return {
        "id": record.id,
        "object": "request",
        "model": record.model,
        "endpoint": record.endpoint,
        "status": record.status,
        "parameters": record.parameters,
        "committed_tokens": committed_tokens(log),
        "finish_reason": record.finish_reason,
        "usage": record.usage,
        "error_code": record.error_code,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }
