"""What a call to the server is seen to take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, format_trace_id, get_current_span

from deployments.state.store import StateUnavailable
from deployments.telemetry.attributes import DB_OPERATION, DB_SYSTEM, ERROR_TYPE, REDIS
from deployments.telemetry.names import REDIS_LATENCY
from deployments.telemetry.observation import Telemetry


@contextmanager
def measured(op: str, telemetry: Telemetry) -> Iterator[None]:
    """Time the call within, which is for ``op``, whether it is answered or fails; one that is cancelled tells nothing.

    Below a span that is recorded, the call has a span.
    """
    span, started = _span(op, telemetry), time.perf_counter()
    try:
        yield
    except StateUnavailable as error:
        span.set_attribute(ERROR_TYPE, type(error.__cause__).__name__)
        span.set_status(StatusCode.ERROR)
        _record(op, started, span, telemetry)
        raise
    else:
        _record(op, started, span, telemetry)
    finally:
        span.end()


def _span(op: str, telemetry: Telemetry) -> Span:
    if not get_current_span().is_recording():
        return INVALID_SPAN
    attributes = {DB_SYSTEM: "redis", DB_OPERATION: op}
    return telemetry.tracer.start_span(f"{REDIS} {op}", kind=SpanKind.CLIENT, attributes=attributes)


def _record(op: str, started: float, span: Span, telemetry: Telemetry) -> None:
    trace_id = format_trace_id(span.get_span_context().trace_id) if span.is_recording() else ""
    telemetry.metrics.record(REDIS_LATENCY, time.perf_counter() - started, trace_id=trace_id, op=op)
