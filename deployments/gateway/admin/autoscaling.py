"""Why each pool has as many replicas as it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from deployments.autoscaling.explain import explain
from deployments.autoscaling.journal import Segments, read
from deployments.autoscaling.trace import read_trace
from deployments.gateway.admin.shapes import Json, listed
from deployments.gateway.ids import Clock

if TYPE_CHECKING:
    from deployments.autoscaling.trace import Trace

MEDIA_TYPE = "application/jsonl"


def routes(segments: Segments, clock: Clock) -> APIRouter:
    """What the autoscaler has written into ``segments``."""
    router = APIRouter(prefix="/autoscaling", tags=["autoscaling"])

    @router.get("/explain")
    async def explanation(pool: Annotated[str | None, Query(description="As in `model/pool`.")] = None) -> Json:
        """Each pool that is scaled, or the one that is named: its replicas, what its size is decided from, the last
        decision and those that changed it, with their reasons.
        """
        trace = await asyncio.to_thread(_trace, segments)
        return listed(explain(trace, clock(), pool))

    @router.get("/trace", response_class=StreamingResponse)
    async def trace() -> Response:
        """All that decisions were made from, and they themselves, as `dllm autoscale replay` takes it: a line of JSON
        for each pool, sample and decision.
        """
        return StreamingResponse(_lines(segments), media_type=MEDIA_TYPE)

    return router


def _trace(segments: Segments) -> Trace:
    return read_trace(line for text in read(segments) for line in text.splitlines())


async def _lines(segments: Segments) -> AsyncGenerator[str]:
    for number in await asyncio.to_thread(segments.numbers):
        text = await asyncio.to_thread(segments.get, number)
        if text is not None:
            yield text
