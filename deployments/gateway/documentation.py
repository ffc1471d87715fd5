"""What ``openapi.json`` says beside what the framework finds out: headers, streams, and how requests fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from fastapi import Header
from pydantic import BaseModel

from deployments.errors import ServingError
from deployments.gateway import deadline, strictness
from deployments.gateway.schema import ErrorBody
from deployments.gateway.sse import MEDIA_TYPE

Documented = dict[int | str, dict[str, Any]]

UNTOLD = 499
"""No client reads this status: it has left."""

REQUEST_ID = {"x-request-id": {"description": "The id to quote.", "required": True, "schema": {"type": "string"}}}
WAIT = {
    "retry-after": {"description": "Seconds to wait, jitter included.", "schema": {"type": "integer"}},
    "retry-after-ms": {"description": "The same in milliseconds.", "schema": {"type": "integer"}},
}
SHOULD_RETRY = {"x-should-retry": {"description": "Whether to retry.", "schema": {"enum": ["true", "false"]}}}
EVENT = {
    "type": "object",
    "description": "One event; its data is a chunk as JSON, an error, or [DONE] behind the last chunk.",
    "properties": {
        "id": {"type": "string", "description": "The number of a frame of committed text, to resume behind."},
        "event": {"type": "string", "description": "The type of an event of the Responses API."},
        "data": {"type": "string"},
    },
    "required": ["data"],
}
STREAM: dict[str, Any] = {MEDIA_TYPE.partition(";")[0]: {"schema": EVENT}}


def refusals() -> Documented:
    """Every status with which a request can fail, and the codes behind it."""
    kinds: dict[int, list[type[ServingError]]] = {}
    for kind in _kinds(ServingError):
        if kind.status != UNTOLD:
            kinds.setdefault(kind.status, []).append(kind)
    return {status: _refusal(kinds[status]) for status in sorted(kinds)}


def answered(body: type[BaseModel], *, streams: bool = False) -> Documented:
    """A success with that body or, for who asks for it, as server-sent events."""
    return {200: {"model": body, "headers": REQUEST_ID, **({"content": STREAM} if streams else {})}}


def streamed() -> Documented:
    """A success as server-sent events."""
    return {200: {"description": "Server-sent events.", "headers": REQUEST_ID, "content": STREAM}}


async def request_headers(
    idempotency_key: Annotated[
        str | None,
        Header(description="Runs the request once, however often it is sent.", json_schema_extra={"maxLength": 255}),
    ] = None,
    deadline_ms: Annotated[
        str | None,
        Header(
            alias=deadline.HEADER,
            description="The answer is wanted within so many milliseconds.",
            json_schema_extra={"pattern": "^[0-9]+$"},
        ),
    ] = None,
    strict: Annotated[
        str | None,
        Header(
            alias=strictness.HEADER,
            description="Whether a parameter that nobody knows is refused.",
            json_schema_extra={"enum": ["true", "false"]},
        ),
    ] = None,
) -> None:
    """The headers that requests for answers may have. They are read where the request is accepted."""


def _refusal(kinds: list[type[ServingError]]) -> dict[str, Any]:
    lines = [f"- `{kind.code}`: {kind.default_message}" for kind in kinds]
    headers: Mapping[str, Any] = {
        **REQUEST_ID,
        **(WAIT if any(kind.default_retry_after is not None for kind in kinds) else {}),
        **(SHOULD_RETRY if any(kind.should_retry is not None for kind in kinds) else {}),
    }
    return {"model": ErrorBody, "description": "\n".join(lines), "headers": dict(headers)}


def _kinds(root: type[ServingError]) -> Iterator[type[ServingError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _kinds(kind)
