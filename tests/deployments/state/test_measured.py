"""What is seen of calls to a server, which is not here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode, Tracer, format_trace_id
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deployments.state.client import CallSettings, Client
from deployments.state.script import Script
from deployments.state.store import StateUnavailable
from deployments.telemetry.metrics import MemoryMetrics
from deployments.telemetry.names import REDIS_LATENCY, REDIS_UP
from deployments.telemetry.observation import Telemetry
from deployments.telemetry.prometheus import PrometheusMetrics

SECRET = "dllm:{acme:request}:record"
COUNT = Script("limits.count", "return redis.call('GET', KEYS[1])")


class Server:
    """Stands for the client library: answers, fails, or never answers."""

    def __init__(self) -> None:
        self.error: RedisError | None = None
        self.silent = False
        self.asked = asyncio.Event()

    async def initialize(self) -> None:
        """It needs no discovery."""

    async def execute_command(self, *command: Any) -> bytes:
        self.asked.set()
        if self.silent:
            await asyncio.get_running_loop().create_future()
        if self.error is not None:
            raise self.error
        return b"answer"


@pytest.fixture
def metrics() -> MemoryMetrics:
    return MemoryMetrics()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def tracer_of(spans: InMemorySpanExporter, sampler: Sampler = ALWAYS_ON) -> Tracer:
    provider = TracerProvider(sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("test")


def client_of(server: Server, telemetry: Telemetry) -> Client:
    return Client(cast(Redis, server), CallSettings(timeout_seconds=20.0), telemetry=telemetry)


async def test_a_call_is_timed_by_what_it_is_for(server: Server, metrics: MemoryMetrics) -> None:
    client = client_of(server, Telemetry(metrics))
    assert await client.call("HGETALL", SECRET) == b"answer"
    assert await client.run(COUNT, [SECRET], 1) == b"answer"
    timed = [labels for name, *labels in metrics.values if name == REDIS_LATENCY.name]
    assert timed == [["hgetall"], ["limits.count"]]
    assert all(0 <= metrics.total(REDIS_LATENCY, op) < 20 for (op,) in timed)


async def test_a_store_is_up_from_an_answer_to_the_next_failure(server: Server, metrics: MemoryMetrics) -> None:
    client = client_of(server, Telemetry(metrics))
    await client.call("PING")
    assert metrics.last(REDIS_UP) == 1
    server.error = RedisError()
    with pytest.raises(StateUnavailable):
        await client.call("PING")
    assert metrics.last(REDIS_UP) == 0
    server.error = None
    await client.wait("XREAD", "BLOCK", 4000, "STREAMS", SECRET, "0-0")
    assert metrics.last(REDIS_UP) == 1


async def test_a_failure_took_its_time_as_well(server: Server, metrics: MemoryMetrics) -> None:
    server.error = RedisError()
    with pytest.raises(StateUnavailable):
        await client_of(server, Telemetry(metrics)).run(COUNT, [SECRET])
    assert len(metrics.values[REDIS_LATENCY.name, "limits.count"]) == 1


async def test_an_answer_that_the_server_holds_back_is_not_timed(server: Server, metrics: MemoryMetrics) -> None:
    await client_of(server, Telemetry(metrics)).wait("XREAD", "BLOCK", 4000, "STREAMS", SECRET, "0-0")
    assert not [name for name, *_ in metrics.values if name == REDIS_LATENCY.name]


async def test_a_call_that_nobody_waits_for_any_more_tells_nothing(
    server: Server, metrics: MemoryMetrics, spans: InMemorySpanExporter
) -> None:
    server.silent, tracer = True, tracer_of(spans)
    with tracer.start_as_current_span("admit"):
        calling = asyncio.create_task(client_of(server, Telemetry(metrics, tracer)).call("PING"))
        await server.asked.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert not metrics.values
    assert [span.name for span in spans.get_finished_spans()] == ["admit", "redis ping"]


async def test_below_a_recorded_span_a_call_has_one_that_names_no_key(
    server: Server, spans: InMemorySpanExporter
) -> None:
    tracer = tracer_of(spans)
    with tracer.start_as_current_span("admit") as admit:
        await client_of(server, Telemetry(MemoryMetrics(), tracer)).run(COUNT, [SECRET], "a secret argument")
    call = spans.get_finished_spans()[0]
    assert (call.name, call.kind) == ("redis limits.count", SpanKind.CLIENT)
    assert call.parent is not None
    assert call.parent.span_id == admit.get_span_context().span_id
    assert call.attributes == {"db.system.name": "redis", "db.operation.name": "limits.count"}
    assert "secret" not in call.to_json()
    assert SECRET not in call.to_json()


async def test_the_span_of_a_failed_call_says_what_failed(server: Server, spans: InMemorySpanExporter) -> None:
    server.error, tracer = RedisError(SECRET), tracer_of(spans)
    with tracer.start_as_current_span("admit"), pytest.raises(StateUnavailable):
        await client_of(server, Telemetry(MemoryMetrics(), tracer)).call("GET", SECRET)
    call = spans.get_finished_spans()[0]
    assert call.status.status_code is StatusCode.ERROR
    assert (call.attributes or {})["error.type"] == "RedisError"
    assert SECRET not in call.to_json()


@pytest.fixture(params=["no span", "a span that is not recorded"])
def unrecorded(request: pytest.FixtureRequest, spans: InMemorySpanExporter) -> Iterator[Tracer]:
    tracer = tracer_of(spans)
    if request.param == "no span":
        yield tracer
        return
    with tracer_of(spans, ALWAYS_OFF).start_as_current_span("admit"):
        yield tracer


async def test_otherwise_a_call_has_no_span(server: Server, spans: InMemorySpanExporter, unrecorded: Tracer) -> None:
    await client_of(server, Telemetry(MemoryMetrics(), unrecorded)).call("PING")
    assert not spans.get_finished_spans()


async def test_the_trace_is_an_example_of_the_time(server: Server, spans: InMemorySpanExporter) -> None:
    metrics, tracer = PrometheusMetrics(CollectorRegistry()), tracer_of(spans)
    with tracer.start_as_current_span("admit") as admit:
        await client_of(server, Telemetry(metrics, tracer)).call("PING")
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    (example,) = [sample.exemplar for sample in samples if sample.exemplar]
    assert example.labels == {"trace_id": format_trace_id(admit.get_span_context().trace_id)}
