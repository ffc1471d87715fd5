"""A cluster of scripted replicas whose spans and numbers are kept, and the root spans that an edge would make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from textwrap import dedent

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, set_span_in_context

from deployments.errors import ReplicaLost
from deployments.run import CanvasTimes, Progress, Route
from deployments.telemetry.metrics import MemoryMetrics
from deployments.telemetry.observation import Observation, Telemetry
from deployments.telemetry.spans import nanoseconds
from tests.deployments.execution.works import TOKENS, Cluster, finished, told
from tests.deployments.gateway.scripted import NOW, ScriptedPool, Step
from tests.deployments.telemetry.trees import Told, outline, told_in_memory

ROOT = "POST /v1/completions"
END = len(TOKENS)


class Watched(Cluster):
    """``sampled`` says whether the edge records its requests."""

    def __init__(self, *plays: Callable[[Watched], Iterator[Step]], sampled: bool = True) -> None:
        self.exporter, self.metrics = InMemorySpanExporter(), MemoryMetrics()
        provider = TracerProvider(ParentBased(ALWAYS_ON if sampled else ALWAYS_OFF), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("test")
        remaining = iter(plays)
        pool = ScriptedPool(lambda request: next(remaining)(self))
        super().__init__(pool, telemetry=Telemetry(self.metrics, self.tracer))

    def wait(self, seconds: float) -> None:
        """So much time passes."""
        self.now += seconds

    @contextmanager
    def asked(self) -> Iterator[Observation]:
        """A request, whose root span ends behind the block."""
        root = self.tracer.start_span(ROOT, Context(), SpanKind.SERVER, start_time=nanoseconds(self.now))
        context = set_span_in_context(root, Context())
        yield Observation(self.now, context, "req_1", "text_completion", "acme", "tiny", "default")
        root.end(nanoseconds(self.now))

    @property
    def spans(self) -> list[Told]:
        return told_in_memory(self.exporter.get_finished_spans())

    @property
    def outline(self) -> str:
        return outline(self.spans)

    def named(self, name: str) -> list[Told]:
        """The spans of that name, in the order of their starts."""
        return sorted((span for span in self.spans if span.name == name), key=lambda span: (span.began, span.ended))

    def only(self, name: str) -> Told:
        (span,) = self.named(name)
        return span


def canvas(index: int, prefill: float, seconds: float, *, ended: bool = True, steps: int = 4) -> CanvasTimes:
    """One of eight positions that committed two tokens a step."""
    summaries = tuple((step, seconds * step / steps, 2 * step) for step in (steps // 2, steps))
    return CanvasTimes(index, 8, prefill, seconds, steps, 8 * steps, 2 * steps, ended, summaries)


def since(span: Told) -> tuple[float, float]:
    """Its begin and end in seconds of the test's clock."""
    return round(span.began / 1e9 - NOW, 3), round(span.ended / 1e9 - NOW, 3)


def tree(lines: str) -> str:
    """The outline of a trace with these spans below its root."""
    return f"{ROOT}\n{dedent(lines).strip()}".replace("\n", "\n  ")


def whole(cluster: Watched) -> Iterator[Step]:
    """Admitted after half a second, two canvases, the end."""
    cluster.wait(0.5)
    yield Progress(replica="r1", route=Route("small", cluster.now - 0.25, 0.125, 16))
    cluster.wait(2.0)
    yield replace(told(0, 8), canvases=(canvas(0, 0.75, 1.0),))
    cluster.wait(1.5)
    yield replace(told(8, END), canvases=(canvas(1, 0.25, 1.25),))
    yield finished()


def dies(cluster: Watched) -> Iterator[Step]:
    """One canvas, and half a second of the next."""
    yield Progress(replica="r1")
    cluster.wait(1.0)
    yield replace(told(0, 8), canvases=(canvas(0, 0.0, 1.0),))
    cluster.wait(0.5)
    raise ReplicaLost


def goes_on(cluster: Watched) -> Iterator[Step]:
    """The second canvas, and the end."""
    cluster.wait(0.25)
    yield Progress(replica="r2")
    cluster.wait(1.0)
    yield replace(told(8, END), canvases=(canvas(1, 0.0, 1.0),))
    yield finished()


def dies_at_once(cluster: Watched) -> Iterator[Step]:
    """Before it has told anything of the answer."""
    yield Progress(replica="r1")
    raise ReplicaLost
