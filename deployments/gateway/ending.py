"""The end of a request, as its root span and its line in the access log tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from opentelemetry.trace import format_span_id, format_trace_id
from opentelemetry.util.types import AttributeValue

from deployments.errors import ClientClosedRequest, error_of
from deployments.telemetry import attributes as named
from deployments.telemetry.spans import CANCELLED

if TYPE_CHECKING:
    from deployments.telemetry.access_log import Line
    from deployments.telemetry.observation import Observation

FAULT = 500
"""From this status on it is the service that failed, not its client."""

OK = "ok"


@dataclass(frozen=True, slots=True)
class End:
    """How a request ended.

    ``name`` is that of the root span, ``status`` what the protocol calls the end, and ``attributes`` are its own.
    ``failure`` is the code of the error, empty when there was none; ``sent`` counts the bytes of the answer, and
    ``seconds`` those since the request arrived.
    """

    name: str
    status: str
    seconds: float
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    failure: str = ""
    sent: int = 0

    @property
    def outcome(self) -> str:
        """``ok``, ``cancelled`` or the code of the error."""
        if self._failed_with == ClientClosedRequest.status:
            return CANCELLED
        return self.failure or OK

    @property
    def is_fault(self) -> bool:
        """Whether the service failed."""
        return self._failed_with >= FAULT

    @property
    def _failed_with(self) -> int:
        return error_of(self.failure, "").status if self.failure else 0


def attributes_of(seen: Observation, end: End) -> dict[str, AttributeValue]:
    """The attributes of the root span. What nobody has learned of the request has none."""
    told = {name: value for name, value in _attributes(seen, end) if value not in ("", None, [])}
    return {**told, **end.attributes}


def _attributes(seen: Observation, end: End) -> Iterator[tuple[str, AttributeValue | None]]:
    yield named.REQUEST_ID, seen.request_id
    yield named.TENANT, seen.tenant
    yield named.BAND, seen.band
    yield named.OUTCOME, end.outcome
    yield named.ERROR_TYPE, end.failure
    if not seen.operation:
        return
    yield named.OPERATION, seen.operation
    yield named.PROVIDER, named.PROVIDER_NAME
    yield named.REQUEST_MODEL, seen.model
    yield named.RESPONSE_MODEL, seen.model
    yield named.RESPONSE_ID, seen.answer_id
    yield named.FINISH_REASONS, seen.finish_reasons
    yield named.TIME_IN_QUEUE, seen.queue_seconds
    yield named.TIME_TO_FIRST_TOKEN, seen.first_commit_seconds
    yield named.END_TO_END, end.seconds
    if seen.queue_seconds is None:
        return
    yield named.INPUT_TOKENS, seen.prompt_tokens
    yield named.OUTPUT_TOKENS, seen.completion_tokens
    yield named.DENOISE_STEPS, seen.denoising_steps
    yield named.FORWARD_PASSES, seen.forward_passes
    yield named.POSITION_FORWARDS, seen.position_forwards
    yield named.MIGRATIONS, seen.migrations


def line_of(seen: Observation, end: End) -> Line:
    """The line of the access log. ``status`` is text in either protocol; times are in milliseconds."""
    span = seen.span.get_span_context()
    return {
        "ts": datetime.fromtimestamp(seen.arrived + end.seconds, UTC).isoformat(timespec="milliseconds"),
        "trace_id": format_trace_id(span.trace_id),
        "span_id": format_span_id(span.span_id),
        "request_id": seen.request_id,
        "answer_id": seen.answer_id,
        "tenant": seen.tenant,
        "model": seen.model,
        "operation": end.name,
        "status": end.status,
        "outcome": end.outcome,
        "error": end.failure,
        "band": seen.band,
        "stream": seen.streams,
        "queue_ms": _milliseconds(seen.queue_seconds),
        "ttfc_ms": _milliseconds(seen.first_commit_seconds),
        "duration_ms": _milliseconds(end.seconds),
        "prompt_tokens": seen.prompt_tokens,
        "completion_tokens": seen.completion_tokens,
        "steps": seen.denoising_steps,
        "position_forwards": seen.position_forwards,
        "replicas": seen.replicas,
        "migrations": seen.migrations,
        "bytes": end.sent,
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
