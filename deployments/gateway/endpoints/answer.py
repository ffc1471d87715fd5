"""What the generating endpoints do alike: run a plan and answer in one piece or as a stream."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

from fastapi import Request
from starlette.responses import JSONResponse, Response

from deployments.errors import InvalidRequest
from deployments.gateway.assembler import Done, Output
from deployments.gateway.context import Caller, Gateway, caller
from deployments.gateway.generation import generate
from deployments.gateway.model import Model
from deployments.gateway.openai import Dialect
from deployments.gateway.pacing import paced, unless_disconnected
from deployments.gateway.plan import Plan
from deployments.gateway.recording import Recording
from deployments.gateway.schema import GenerationBody
from deployments.gateway.stream import ChunkWriter, EventStream
from deployments.gateway.writer import Delta
from deployments.state.record import RequestRecord

MAX_IGNORED_NAMES = 32
HASHED_FIELDS = ("user", "safety_identifier", "prompt_cache_key")


async def answer(
    gateway: Gateway, request: Request, body: GenerationBody, model: Model, plan: Plan, dialect: Dialect
) -> Response:
    """The answer to ``body`` in the words of ``dialect``. A client that leaves ends the run."""
    if body.stream_options is not None and not body.stream:
        raise InvalidRequest("stream_options needs 'stream': true.", parameter="stream_options")
    asking = caller(request)
    record = _record(asking, body, plan, dialect, request.url.path)
    recording = Recording(gateway.store, record, gateway.clock, gateway.settings.state_timeout_seconds)
    outputs = generate(model, plan, recording)
    headers = _headers(body, model)
    if not body.stream:
        whole = await unless_disconnected(request.receive, _whole(outputs, dialect))
        return JSONResponse(whole, headers=headers | _degradation(recording))
    parts = paced(outputs, gateway.settings.keep_alive_seconds)
    first = await unless_disconnected(request.receive, anext(parts))
    writer = ChunkWriter(dialect, include_usage=bool(body.stream_options and body.stream_options.include_usage))
    return EventStream(first, parts, writer, asking.request_id, headers | _degradation(recording))


async def _whole(outputs: AsyncGenerator[tuple[Output, ...]], dialect: Dialect) -> dict[str, Any]:
    parts = [output async for batch in outputs for output in batch]
    done = next(part for part in parts if isinstance(part, Done))
    return dialect.whole([part for part in parts if isinstance(part, Delta)], done)


def _record(asking: Caller, body: GenerationBody, plan: Plan, dialect: Dialect, endpoint: str) -> RequestRecord:
    hashed = {name: _hashed(asking.tenant, getattr(body, name)) for name in HASHED_FIELDS}
    parameters = plan.as_json() | {
        "stream": bool(body.stream),
        "request_id": asking.request_id,
        "metadata": body.metadata or {},
        **{name: value for name, value in hashed.items() if value is not None},
    }
    return RequestRecord(
        id=dialect.id,
        tenant=asking.tenant,
        model=dialect.model,
        endpoint=endpoint,
        parameters=parameters,
        created_at=float(dialect.created),
        updated_at=float(dialect.created),
    )


def _hashed(tenant: str, value: str | None) -> str | None:
    """SHA-256 of a client's label, so that labels of two tenants cannot be compared."""
    return None if value is None else hashlib.sha256(f"{tenant}\0{value}".encode()).hexdigest()


def _headers(body: GenerationBody, model: Model) -> dict[str, str]:
    headers = {"x-dllm-model-revision": model.description.revision}
    ignored = sorted(body.ignored())[:MAX_IGNORED_NAMES]
    if ignored:
        headers["x-dllm-ignored-params"] = ",".join(quote(name[:64], safe="[]", errors="replace") for name in ignored)
    return headers


def _degradation(recording: Recording) -> dict[str, str]:
    return {"x-dllm-degraded": "state"} if recording.degraded else {}
