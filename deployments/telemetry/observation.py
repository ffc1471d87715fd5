"""What is seen of one request on its way, for the span, the metrics and the log line that tell of its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from opentelemetry.context import Context
from opentelemetry.trace import NoOpTracer, Span, Tracer, format_trace_id, get_current_span

from deployments.telemetry.access_log import AccessLog, MemoryAccessLog
from deployments.telemetry.metrics import MemoryMetrics, Metrics
from deployments.telemetry.named_tenants import NamedTenants


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where a process tells what it sees: numbers, spans, and the lines of its access log. By default they are kept
    here, or not made. ``tenants`` says which of them metrics name.
    """

    metrics: Metrics = field(default_factory=MemoryMetrics)
    tracer: Tracer = field(default_factory=NoOpTracer)
    tenants: NamedTenants = field(default_factory=NamedTenants)
    access_log: AccessLog = field(default_factory=MemoryAccessLog)


@dataclass(slots=True)
class Observation:
    """One request. Whoever learns of something enters it; the edge, REST or gRPC, opens and closes it.

    ``arrived`` is in Unix seconds and ``context`` has the request's root span. ``operation`` is the GenAI conventions'
    name of what is asked for, empty for what generates nothing; ``model`` is one that is served. Of several answers to
    one request the counts are sums, and the times those of the first. ``failure`` is the code of the error that ended
    an answer.
    """

    arrived: float = 0.0
    context: Context = field(default_factory=Context)
    request_id: str = ""
    operation: str = ""
    tenant: str = ""
    model: str = ""
    band: str = ""
    answer_id: str = ""
    streams: bool = False
    queue_seconds: float | None = None
    first_commit_seconds: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    denoising_steps: int = 0
    forward_passes: int = 0
    position_forwards: int = 0
    migrations: int = 0
    replicas: list[str] = field(default_factory=list)
    finish_reasons: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def span(self) -> Span:
        """The request's root span."""
        return get_current_span(self.context)

    @property
    def trace_id(self) -> str:
        """The 32 hex digits of the trace, empty when it is not recorded."""
        span = self.span.get_span_context()
        return format_trace_id(span.trace_id) if span.trace_flags.sampled else ""
