"""How spans are made below what is recorded of a request already, and how they tell of an error."""

from __future__ import annotations

import contextvars
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.context import Context, attach
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.util.types import AttributeValue

from deployments.failure import ServingError
from deployments.telemetry.attributes import ERROR_TYPE, OUTCOME

CANCELLED = "cancelled"
"""The outcome of what was given up: no error of anybody's."""

DEFECT = "internal_error"
"""The code of what is none of the errors that clients are told of."""

Attributes = Mapping[str, AttributeValue]


def nanoseconds(seconds: float) -> int:
    """A time as spans have it; to the microsecond, as a float in Unix seconds is no finer."""
    return round(seconds * 1e6) * 1000


def blame(span: Span, error: BaseException) -> None:
    """``span`` ends with ``error``, of which it tells the code alone: a message may have words of the client's."""
    if isinstance(error, CancelledError):
        span.set_attribute(OUTCOME, CANCELLED)
        return
    span.set_status(StatusCode.ERROR)
    span.set_attribute(ERROR_TYPE, error.code if isinstance(error, ServingError) else DEFECT)


def detached(context: Context) -> contextvars.Context:
    """For a task that goes on behind the call that starts it: what it logs belongs to the trace in ``context``, and
    what it does gets no spans by itself. It has nothing else of the call.
    """
    made, span = contextvars.Context(), NonRecordingSpan(get_current_span(context).get_span_context())
    made.run(attach, set_span_in_context(span, Context()))
    return made


@dataclass(frozen=True, slots=True)
class Trace:
    """Makes the spans below ``root``; without a recorded root it makes none. ``clock`` is in Unix seconds."""

    tracer: Tracer
    root: Context
    clock: Callable[[], float]

    @classmethod
    def below(cls, tracer: Tracer, root: Context, clock: Callable[[], float]) -> Trace:
        """The spans of ``tracer`` below that in ``root``."""
        sampled = get_current_span(root).get_span_context().trace_flags.sampled
        return cls(tracer, root, clock) if sampled else cls(NoOpTracer(), Context(), clock)

    @property
    def is_recorded(self) -> bool:
        """Whether spans are made."""
        return bool(self.root)

    def start(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: Context | None = None,
        at: float | None = None,
    ) -> Span:
        """A span from now on, or since ``at``, below ``parent`` or the root."""
        parent = self.root if parent is None else parent
        since = nanoseconds(self.clock() if at is None else at)
        return self.tracer.start_span(name, parent, kind, attributes, start_time=since)

    def end(self, span: Span, error: BaseException | None = None, *, at: float | None = None) -> None:
        """``span`` ends now, or ended ``at``, with ``error`` if there was one."""
        if error is not None:
            blame(span, error)
        span.end(nanoseconds(self.clock() if at is None else at))

    @contextmanager
    def during(self, name: str, attributes: Attributes | None = None) -> Iterator[Span]:
        """A span of what is done inside, where it is the current one; what is raised there ends it."""
        if not self.is_recorded:
            yield INVALID_SPAN
            return
        span = self.start(name, attributes)
        raised: BaseException | None = None
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False):
                yield span
        except BaseException as error:
            raised = error
            raise
        finally:
            self.end(span, raised)
