"""A stream on its way from this process, which has its client's socket, and the span that tells of it."""

from __future__ import annotations

import atexit
import os
import time
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import TracebackType
from typing import Self

from opentelemetry.trace import INVALID_SPAN, Span, Tracer

from deployments.telemetry.attributes import OUTCOME, STREAM, STREAM_BYTES, STREAM_DROPPED, STREAM_STALL
from deployments.telemetry.config import TRACES_ENVIRONMENT, TracesConfig
from deployments.telemetry.spans import CANCELLED
from deployments.telemetry.tracing import PROXY, context_of, traceparent_of, tracing_of


@cache
def socket_tracer() -> Tracer:
    """The tracer of a process with clients' sockets. Ray Serve makes that process, so its environment says where spans
    go.
    """
    tracing = tracing_of(TracesConfig.model_validate_json(os.environ.get(TRACES_ENVIRONMENT, "{}")), PROXY)
    atexit.register(tracing.close)
    return tracing.tracer


class Outflow:
    """What a client takes of a stream, told when the context ends. ``dropped`` are the canvas frames that it has
    missed.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._span: Span = INVALID_SPAN
        self._sent, self._stall = 0, 0.0
        self.dropped = 0

    def open(self, traceparent: str) -> None:
        """The stream begins, of the request whose root span ``traceparent`` names, if it is recorded."""
        root = context_of(traceparent)
        if traceparent_of(root):
            self._span = self._tracer.start_span(STREAM, root)

    @contextmanager
    def giving(self, size: int) -> Iterator[None]:
        """So many bytes are given to the client; for as long as this takes, it is the client that is waited for."""
        began = time.perf_counter()
        try:
            yield
            self._sent += size
        finally:
            self._stall += time.perf_counter() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError | CancelledError | GeneratorExit):
            self._span.set_attribute(OUTCOME, CANCELLED)
        self._span.set_attribute(STREAM_BYTES, self._sent)
        self._span.set_attribute(STREAM_DROPPED, self.dropped)
        self._span.set_attribute(STREAM_STALL, self._stall)
        self._span.end()
