"""A tracer whose spans are kept in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer

from tests.deployments.telemetry.trees import Told, told_in_memory

PATIENCE_SECONDS = 5.0


class Recorder(SpanExporter):
    """A tracer that follows its parents, and what it has recorded."""

    def __init__(self) -> None:
        self._ended: list[ReadableSpan] = []
        self._changed = threading.Condition()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self))
        self.tracer: Tracer = provider.get_tracer("test")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._changed:
            self._ended += spans
            self._changed.notify_all()
        return SpanExportResult.SUCCESS

    @property
    def ended(self) -> list[ReadableSpan]:
        """As an exporter gets them."""
        with self._changed:
            return list(self._ended)

    @property
    def spans(self) -> list[Told]:
        """Those that have ended."""
        return told_in_memory(self.ended)

    @property
    def only(self) -> Told:
        (span,) = self.spans
        return span

    async def reaches(self, count: int) -> list[Told]:
        """The spans when there are so many, or after a while those that there are."""
        await asyncio.to_thread(self._wait, count)
        return self.spans

    def _wait(self, count: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._ended) >= count, PATIENCE_SECONDS)
