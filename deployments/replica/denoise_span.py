"""The span of one run in its replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from opentelemetry.trace import Span, SpanKind, Tracer

from deployments.errors import DeadlineExceeded
from deployments.run import Progress, Run
from deployments.telemetry import attributes
from deployments.telemetry.spans import blame
from deployments.telemetry.tracing import context_of
from dllm_worker.request import Finish

FINISHED, PARKED, ABORTED, FAILED, DEADLINE = "finished", "parked", "aborted", "failed", "deadline"
"""How a run ended: its outcome on the span."""


async def traced(
    messages: AsyncGenerator[Progress], run: Run, tracer: Tracer, model: str, replica: str
) -> AsyncGenerator[Progress]:
    """``messages`` of a recorded ``run``, under a span below that of the attempt.

    Nothing is below this span: of a replica that is killed it is missing, and no other span with it.
    """
    telling = _Telling(_open(run, tracer, model, replica))
    async with aclosing(messages):
        try:
            async for progress in messages:
                telling.hear(progress)
                yield progress
        except (GeneratorExit, asyncio.CancelledError):
            telling.outcome = telling.outcome or ABORTED
            raise
        except Exception as error:
            telling.fail(error)
            raise
        finally:
            telling.end()


def _open(run: Run, tracer: Tracer, model: str, replica: str) -> Span:
    span = tracer.start_span(f"{attributes.DENOISE} {model}", context_of(run.trace), SpanKind.SERVER)
    span.set_attribute(attributes.REQUEST_MODEL, model)
    span.set_attribute(attributes.REPLICA, replica)
    span.set_attribute(attributes.EPOCH, run.epoch)
    return span


class _Telling:
    """What the messages of a run add to its span. Its counts are those of the canvases that were told."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._steps = self._position_forwards = self._committed = 0
        self.outcome = ""

    def hear(self, progress: Progress) -> None:
        for canvas in progress.canvases:
            self._steps += canvas.steps
            self._position_forwards += canvas.position_forwards
            self._committed += canvas.committed
        if progress.parked:
            self.outcome = PARKED
        elif progress.events and isinstance(finish := progress.events[-1], Finish):
            self.outcome = DEADLINE if finish.reason == "deadline" else FINISHED

    def fail(self, error: Exception) -> None:
        self.outcome = DEADLINE if isinstance(error, DeadlineExceeded) else FAILED
        blame(self._span, error)

    def end(self) -> None:
        self._span.set_attribute(attributes.DENOISE_STEPS, self._steps)
        self._span.set_attribute(attributes.POSITION_FORWARDS, self._position_forwards)
        self._span.set_attribute(attributes.COMMITTED_TOKENS, self._committed)
        self._span.set_attribute(attributes.OUTCOME, self.outcome)
        self._span.end()
