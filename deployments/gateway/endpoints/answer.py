"""How an answer that is on its way is told over HTTP: in one piece or as a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import Request
from starlette.responses import JSONResponse, Response

from deployments.gateway.begin import Begun, Outputs
from deployments.gateway.context import Gateway, observation_of
from deployments.gateway.openai import Json
from deployments.gateway.pacing import paced, unless_disconnected
from deployments.gateway.stream import EventStream, Part, part_bytes
from deployments.gateway.telling import promise_of, whole_of, writer_of
from deployments.state.record import RequestRecord


async def told(gateway: Gateway, request: Request, begun: Begun) -> Response:
    """The answer in the form that was asked for."""
    record = begun.record
    promise = promise_of(record)
    if promise is not None:
        return JSONResponse(promise, headers=begun.headers)
    outputs = begun.outputs()
    if not record.parameters["stream"]:
        whole = await unless_disconnected(request.receive, _whole(record, outputs))
        return JSONResponse(whole, headers=begun.headers)
    writer, parts = writer_of(record), paced(outputs, gateway.settings.keep_alive_seconds)
    opening = writer.begin()
    if not opening:
        opening = part_bytes(await _first(request, parts), writer)
    return EventStream(opening, parts, writer, record.parameters["request_id"], begun.headers, observation_of(request))


async def _first(request: Request, parts: AsyncGenerator[Part]) -> Part:
    try:
        return await unless_disconnected(request.receive, anext(parts))
    except BaseException:
        await parts.aclose()
        raise


async def _whole(record: RequestRecord, outputs: Outputs) -> Json:
    async with aclosing(outputs):
        return whole_of(record, [output async for batch in outputs for output in batch])
