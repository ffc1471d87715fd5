"""The Responses API in the small: one text, in the foreground or the background, stored or not."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from deployments.errors import InvalidRequest, ResponseNotFound, UnsupportedParameter
from deployments.gateway import operations
from deployments.gateway.answers import Deleted, ResponseAnswer
from deployments.gateway.auth import access_of
from deployments.gateway.context import Gateway, arrival_of
from deployments.gateway.documentation import answered, request_headers
from deployments.gateway.endpoints.answer import told
from deployments.gateway.endpoints.requests import LastEventId, StartingAfter, resumed
from deployments.gateway.records import asking, cancelled, find_record, log_of
from deployments.gateway.responses.body import ResponsesBody
from deployments.gateway.responses.response import ENDPOINT, ResponseShape
from deployments.gateway.resumption import resume_after
from deployments.state.record import RequestRecord

Include = Annotated[list[str] | None, Query(description="Nothing can be included.")]


def routes(gateway: Gateway) -> APIRouter:
    """Responses, and what becomes of those that are stored."""
    router = APIRouter(prefix=ENDPOINT, tags=["responses"])

    @router.post("", responses=answered(ResponseAnswer, streams=True), dependencies=[Depends(request_headers)])
    async def create(request: Request, body: ResponsesBody) -> Response:
        """Answer an input; with `background`, later."""
        return await told(gateway, request, await operations.response(gateway, await arrival_of(request), body))

    @router.get("/{response_id}", responses=answered(ResponseAnswer, streams=True))
    async def retrieve(
        request: Request,
        response_id: str,
        stream: bool = False,
        include: Include = None,
        include_obfuscation: bool = False,
        last_event_id: LastEventId = None,
        starting_after: StartingAfter = None,
    ) -> Response:
        """A stored response as far as it is; with `stream`, its events behind one that was received."""
        if include or include_obfuscation:
            raise UnsupportedParameter(parameter="include" if include else "include_obfuscation")
        after = resume_after(last_event_id, starting_after)
        if after is not None and not stream:
            raise InvalidRequest("starting_after needs stream=true.", parameter="starting_after")
        record = await _stored(gateway, request, response_id)
        return resumed(gateway, request, record, after) if stream else await _shown(gateway, record)

    @router.post("/{response_id}/cancel", responses=answered(ResponseAnswer))
    async def cancel(request: Request, response_id: str) -> Response:
        """End a background response if it runs; its canvas is free within one step."""
        record = await _stored(gateway, request, response_id)
        if not ResponseShape.of(record).is_background:
            raise InvalidRequest("Only a response that was created with 'background': true can be cancelled.")
        return await _shown(gateway, await cancelled(gateway, record))

    @router.delete("/{response_id}", responses=answered(Deleted))
    async def delete(request: Request, response_id: str) -> Response:
        """End a stored response if it runs, and forget it."""
        record = await cancelled(gateway, await _stored(gateway, request, response_id))
        async with asking(gateway, f"the deletion of request {record.id}"):
            await gateway.executions.settle(record.key)
            await gateway.store.delete(record.key)
        return JSONResponse({"id": record.id, "object": "response", "deleted": True})

    return router


async def _stored(gateway: Gateway, request: Request, response_id: str) -> RequestRecord:
    """The record of a response that can be read again. Raises :class:`ResponseNotFound`."""
    record = await find_record(gateway, access_of(request), response_id)
    if record.endpoint != ENDPOINT or not record.parameters["response"]["store"]:
        raise ResponseNotFound
    return record


async def _shown(gateway: Gateway, record: RequestRecord) -> Response:
    return JSONResponse(ResponseShape.of(record).state(record, await log_of(gateway, record)))
