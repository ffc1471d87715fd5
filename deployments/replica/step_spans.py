"""Spans of single steps of the engine: each a trace of its own, linked to the requests whose rows were in it."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.trace import Tracer, get_current_span

from deployments.telemetry import attributes
from deployments.telemetry.spans import nanoseconds
from deployments.telemetry.tracing import context_of
from dllm_worker.interface import EngineStats


class StepSpans:
    """``tracer`` decides which steps are recorded."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def tell(self, began: float, ended: float, before: EngineStats, after: EngineStats, traces: Iterable[str]) -> None:
        """A step from ``began`` to ``ended``, in Unix seconds, that changed the engine's counters from ``before`` to
        ``after``, beside requests whose spans have these ``traces``.
        """
        span = self._tracer.start_span(attributes.ENGINE_STEP, Context(), start_time=nanoseconds(began))
        if span.is_recording():
            kinds = [kind.value for kind, count in after.kinds.items() if count > before.kinds.get(kind, 0)]
            span.set_attribute(attributes.STEP_NUMBER, after.steps)
            span.set_attribute(attributes.STEP_ROWS, after.position_forwards - before.position_forwards)
            span.set_attribute(attributes.STEP_KINDS, sorted(kinds))
            span.set_attribute(attributes.STEP_FLOPS, after.flops - before.flops)
            for trace in traces:
                span.add_link(get_current_span(context_of(trace)).get_span_context())
        span.end(nanoseconds(ended))
