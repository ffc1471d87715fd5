from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import Span, StatusCode, get_current_span, set_span_in_context

from deployments.errors import RateLimitExceeded
from deployments.telemetry.spans import Trace, detached

NOW = 1_700_000_000.25


class Kept:
    """A root span and a trace below it, and what was exported."""

    def __init__(self, *, sampled: bool = True) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(ALWAYS_ON if sampled else ALWAYS_OFF, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")
        self.root: Span = self.tracer.start_span("root", Context())
        self.context = set_span_in_context(self.root, Context())
        self.now = NOW
        self.trace = Trace.below(self.tracer, self.context, lambda: self.now)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()


def test_a_span_lasts_as_long_as_what_is_done_inside_and_is_current_there() -> None:
    kept = Kept()
    with kept.trace.during("admit", {"dllm.limit.mode": "shared"}) as span:
        assert get_current_span() is span
        kept.now += 2.0
    assert get_current_span() is not span
    (told,) = kept.spans
    assert (told.start_time, told.end_time) == (1_700_000_000_250_000_000, 1_700_000_002_250_000_000)
    assert told.parent == kept.root.get_span_context()
    assert told.attributes == {"dllm.limit.mode": "shared"}
    assert told.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("error", "code"),
    [(RateLimitExceeded("words of a client's"), "rate_limit_exceeded"), (KeyError(), "internal_error")],
)
def test_an_error_is_told_by_its_code_alone(error: Exception, code: str) -> None:
    kept = Kept()
    with pytest.raises(type(error)), kept.trace.during("admit"):
        raise error
    (told,) = kept.spans
    assert told.status.status_code is StatusCode.ERROR
    assert told.attributes == {"error.type": code}
    assert not told.events
    assert not told.status.description


def test_what_is_given_up_has_not_failed() -> None:
    kept = Kept()
    with pytest.raises(asyncio.CancelledError), kept.trace.during("queue"):
        raise asyncio.CancelledError
    (told,) = kept.spans
    assert told.status.status_code is StatusCode.UNSET
    assert told.attributes == {"dllm.outcome": "cancelled"}


def test_nothing_is_made_below_what_is_not_recorded_and_what_was_current_stays() -> None:
    kept = Kept(sampled=False)
    token = attach(kept.context)
    try:
        with kept.trace.during("admit"):
            assert get_current_span() is kept.root
        kept.trace.end(kept.trace.start("route"))
    finally:
        detach(token)
    assert not kept.spans
    assert not kept.trace.is_recorded


def test_without_a_root_no_trace_begins() -> None:
    kept = Kept()
    trace = Trace.below(kept.tracer, Context(), lambda: NOW)
    trace.end(trace.start("route"))
    assert not kept.spans


@pytest.mark.parametrize("sampled", [True, False])
def test_a_task_of_its_own_logs_under_the_trace_and_records_nothing(sampled: bool) -> None:
    kept = Kept(sampled=sampled)
    seen = detached(kept.context).run(get_current_span)
    assert seen.get_span_context() == kept.root.get_span_context()
    assert not seen.is_recording()
