"""What the generating endpoints do alike: run a plan and answer in one piece or as a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from fastapi import Request
from starlette.responses import JSONResponse, Response

from deployments.execution.execution import Execution, Work
from deployments.gateway.assembler import Output
from deployments.gateway.context import Gateway, caller
from deployments.gateway.idempotency import HEADER, REPLAYED, earlier, idempotency_key, payload_digest
from deployments.gateway.model import Model
from deployments.gateway.openai import Json
from deployments.gateway.pacing import paced, to_its_end, unless_disconnected
from deployments.gateway.plan import Planner
from deployments.gateway.records import asking
from deployments.gateway.stream import EventStream, Part, part_bytes
from deployments.gateway.telling import promise_of, whole_of, writer_of
from deployments.gateway.terms import terms_of
from deployments.state.record import RequestRecord

Outputs = AsyncGenerator[tuple[Output, ...]]


def planner(gateway: Gateway, request: Request, model: Model, answer_id: str) -> Planner:
    """The planner of one request, with the terms that its headers and its tenant set."""
    asked, settings = caller(request), gateway.settings
    terms = terms_of(request.headers, asked.tenant, settings.quality_floors, model.pool, gateway.clock())
    seed, length = gateway.new_seed(), settings.default_max_tokens
    return Planner(model.description, model.text, length, answer_id, seed, asked.cache_salt, terms)


async def answer(
    gateway: Gateway, request: Request, work: Work, headers: Mapping[str, str], *, outlives_client: bool
) -> Response:
    """The answer of ``work``, or of the earlier request that its idempotency key stands for.

    A client that leaves ends the run, unless it ``outlives_client``: then it can be asked for again.
    """
    key = idempotency_key(request.headers.getlist(HEADER))
    if key is not None:
        outlives_client, work = True, replace(work, record=replace(work.record, durable=True))
        known = await _earlier(gateway, request, work.record, key)
        if known is not None:
            repeat = partial(gateway.executions.follow, known.key)
            return await _told(gateway, request, known, repeat, {**headers, **REPLAYED})
    execution = await gateway.executions.start(work)
    follow = partial(gateway.executions.tell, execution, drafts=work.plan.watch is not None)
    outputs = follow if outlives_client else lambda: attended(execution, follow())
    response = await _told(gateway, request, work.record, outputs, headers)
    if execution.degraded:
        response.headers["x-dllm-degraded"] = "state"
    return response


async def attended(execution: Execution, outputs: Outputs) -> Outputs:
    """``outputs`` of an execution that ends when nobody takes them any more."""
    try:
        async with aclosing(outputs):
            async for batch in outputs:
                yield batch
    finally:
        await to_its_end(execution.cancel())


async def _earlier(gateway: Gateway, request: Request, record: RequestRecord, key: str) -> RequestRecord | None:
    digest = payload_digest(request.method, record.endpoint, await request.body())
    async with asking(gateway, f"the idempotency key of request {record.id}"):
        return await earlier(gateway.store, record, key, digest, gateway.clock())


async def _told(
    gateway: Gateway, request: Request, record: RequestRecord, follow: Callable[[], Outputs], headers: Mapping[str, str]
) -> Response:
    """The answer to ``record``, whose parts ``follow`` gives, in the form that was asked for."""
    promise = promise_of(record)
    if promise is not None:
        return JSONResponse(promise, headers=headers)
    outputs = follow()
    if not record.parameters["stream"]:
        whole = await unless_disconnected(request.receive, _whole(record, outputs))
        return JSONResponse(whole, headers=headers)
    writer, parts = writer_of(record), paced(outputs, gateway.settings.keep_alive_seconds)
    begun = writer.begin()
    if not begun:
        begun = part_bytes(await _first(request, parts), writer)
    return EventStream(begun, parts, writer, record.parameters["request_id"], headers)


async def _first(request: Request, parts: AsyncGenerator[Part]) -> Part:
    try:
        return await unless_disconnected(request.receive, anext(parts))
    except BaseException:
        await parts.aclose()
        raise


async def _whole(record: RequestRecord, outputs: Outputs) -> Json:
    async with aclosing(outputs):
        return whole_of(record, [output async for batch in outputs for output in batch])
