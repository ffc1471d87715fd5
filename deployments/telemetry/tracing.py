"""How a process makes spans, and how their context crosses to the next one.

No provider is global: the tracer is handed to those who use it, so two services in one process do not mix, and
nothing else that knows OpenTelemetry (Ray Serve, FastAPI) adds spans of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NoOpTracer, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from deployments.telemetry.config import TracesConfig
from deployments.telemetry.exporters import exporter_of

Service = Literal["dllm-gateway", "dllm-worker", "dllm-proxy"]
"""``service.name`` of a process."""

GATEWAY: Service = "dllm-gateway"
WORKER: Service = "dllm-worker"
PROXY: Service = "dllm-proxy"

SCOPE = "dllm"
INSTANCE = SERVICE_INSTANCE_ID
"""The attribute of a resource that tells processes of a service apart; by default a random name."""

CLOSE_SECONDS = 2.0

_W3C = TraceContextTextMapPropagator()


def _nothing() -> None:
    """There is nothing to close."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """A process's tracer. After ``close``, which waits for what is not exported yet for a few seconds at most, no
    thread of it is left, and spans that end are lost. It may be called again.
    """

    tracer: Tracer
    close: Callable[[], None] = _nothing

    async def keep(self) -> None:
        """Until cancelled; closes then."""
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(self.close)


def tracing_of(config: TracesConfig, service: Service, attributes: Mapping[str, str] | None = None) -> Tracing:
    """The tracer of ``service``. Its resource has ``attributes`` and what ``OTEL_RESOURCE_ATTRIBUTES`` names.

    Of the traces that begin here it records the share for which ``config`` asks: a gateway's begin with requests, a
    worker's with steps of the engine. Of those that began elsewhere it records what was decided there. Without an
    exporter it makes no spans.
    """
    exporter = exporter_of(config)
    if exporter is None:
        return Tracing(NoOpTracer())
    roots = config.sample if service == GATEWAY else config.engine_steps
    resource = Resource.create({SERVICE_NAME: service, SERVICE_VERSION: version("dllm-cluster"), **(attributes or {})})
    provider = TracerProvider(ParentBased(TraceIdRatioBased(roots)), resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider.get_tracer(SCOPE), _Closing(provider, exporter))


class _Closing:
    """Ends a provider within a bound: what its exporter cannot send by then is given up."""

    def __init__(self, provider: TracerProvider, exporter: SpanExporter) -> None:
        self._provider, self._exporter = provider, exporter
        self._lock, self._closed = threading.Lock(), False

    def __call__(self) -> None:
        with self._lock:
            closed, self._closed = self._closed, True
        if closed:
            return
        ending = threading.Thread(target=self._provider.shutdown, name="end of tracing", daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)
        if ending.is_alive():
            self._exporter.shutdown()
            ending.join(CLOSE_SECONDS)


def traceparent_of(context: Context) -> str:
    """The W3C ``traceparent`` of the span in ``context``, empty when that is not recorded."""
    if not get_current_span(context).get_span_context().trace_flags.sampled:
        return ""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context)
    return carrier.get("traceparent", "")


def context_of(traceparent: str, tracestate: str = "") -> Context:
    """The context that these W3C headers bring; an empty one where they are missing or wrong."""
    given = {"traceparent": traceparent, "tracestate": tracestate}
    return _W3C.extract({name: value for name, value in given.items() if value}, Context())
