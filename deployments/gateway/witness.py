"""Each request from its arrival to its end: the root of its trace, and what is told when it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)

from deployments.gateway.ending import OK, End, attributes_of, line_of
from deployments.gateway.ids import Clock, Entropy, brought_id, ulid
from deployments.telemetry.names import REQUEST_DURATION, REQUESTS, SERVER_REQUEST_DURATION, TENANT_REQUESTS
from deployments.telemetry.observation import Observation, Telemetry
from deployments.telemetry.spans import CANCELLED, nanoseconds
from deployments.telemetry.tracing import context_of

if TYPE_CHECKING:
    from deployments.gateway.context import Gateway

REQUEST_ID, TRACEPARENT, TRACESTATE, QUEUE = "x-request-id", "traceparent", "tracestate", "x-dllm-queue-ms"

UNKNOWN = "unknown"
"""The label of a request that names no model which is served, or was refused before that was known. A client makes no
label.
"""


@dataclass(frozen=True, slots=True)
class Witness:
    """Opens the observation of each request, and tells by a span, by metrics and by a line of text how it went; without
    ``telemetry`` it keeps that to itself.
    """

    telemetry: Telemetry | None
    clock: Clock
    entropy: Entropy

    @classmethod
    def of(cls, gateway: Gateway) -> Witness:
        """The witness of the requests of ``gateway``."""
        return cls(gateway.telemetry, gateway.clock, gateway.entropy)

    def open(self, name: str, headers: Mapping[str, str]) -> Observation:
        """The observation of a request that has just come, in its client's trace if it brings a valid one.

        Its root span is called ``name`` until the end. Where none is recorded there is an id of one all the same.
        """
        arrived = self.clock()
        request_id = brought_id(headers.get(REQUEST_ID)) or f"req_{ulid(arrived, self.entropy)}"
        brought = context_of(headers.get(TRACEPARENT, ""), headers.get(TRACESTATE, ""))
        tracer = NoOpTracer() if self.telemetry is None else self.telemetry.tracer
        root = tracer.start_span(name, brought, SpanKind.SERVER, start_time=nanoseconds(arrived))
        return Observation(arrived, self._under(root, brought), request_id)

    def close(self, seen: Observation, end: End, *, quiet: bool = False) -> None:
        """The request is over. Nothing is told of a ``quiet`` one that did not fail."""
        if self.telemetry is None or (quiet and end.outcome in (OK, CANCELLED)):
            return
        _end_span(seen, end)
        _measure(self.telemetry, seen, end)
        self.telemetry.access_log.write(line_of(seen, end))

    def seconds(self, seen: Observation) -> float:
        """How long ago the request arrived."""
        return self.clock() - seen.arrived

    def _under(self, root: Span, brought: Context) -> Context:
        """``brought`` with the root span; where nothing is traced, and it has no id of its own, with one that does."""
        parent, own = get_current_span(brought).get_span_context(), root.get_span_context()
        if own.span_id in (0, parent.span_id):
            trace_id = parent.trace_id or int.from_bytes(self.entropy(16), "big")
            span_id = int.from_bytes(self.entropy(8), "big")
            root = NonRecordingSpan(SpanContext(trace_id, span_id, False, trace_state=parent.trace_state))
        return set_span_in_context(root, brought)


def identity_of(seen: Observation) -> dict[str, str]:
    """What every answer says of its request: its id, the ``traceparent`` of its root span and, if that is known by now,
    how long it waited for its turn.
    """
    span = seen.span.get_span_context()
    traceparent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    waited = {} if seen.queue_seconds is None else {QUEUE: str(round(seen.queue_seconds * 1000))}
    return {REQUEST_ID: seen.request_id, TRACEPARENT: traceparent, **waited}


@contextmanager
def within(seen: Observation) -> Iterator[None]:
    """What is logged or traced meanwhile belongs to the request."""
    token = attach(seen.context)
    try:
        yield
    finally:
        detach(token)


def _end_span(seen: Observation, end: End) -> None:
    span = seen.span
    if not span.is_recording():
        return
    span.update_name(end.name)
    span.set_attributes(attributes_of(seen, end))
    if end.is_fault:
        span.set_status(Status(StatusCode.ERROR))
    span.end(nanoseconds(seen.arrived + end.seconds))


def _measure(telemetry: Telemetry, seen: Observation, end: End) -> None:
    metrics, trace_id, outcome = telemetry.metrics, seen.trace_id, end.outcome
    model, band = seen.model or UNKNOWN, seen.band or UNKNOWN
    metrics.record(REQUESTS, 1, model=model, band=band, outcome=outcome, trace_id=trace_id)
    metrics.record(REQUEST_DURATION, end.seconds, model=model, band=band, trace_id=trace_id)
    if seen.tenant:
        metrics.record(TENANT_REQUESTS, 1, tenant=telemetry.tenants.label(seen.tenant), outcome=outcome)
    if seen.operation:
        metrics.record(
            SERVER_REQUEST_DURATION,
            end.seconds,
            trace_id=trace_id,
            gen_ai_operation_name=seen.operation,
            gen_ai_request_model=model,
            gen_ai_response_model=model,
            error_type=end.failure,
        )
