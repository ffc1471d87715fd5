"""Tracers with real exporters, and receivers that hear them."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.context import Context
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import Link, get_current_span, set_span_in_context

from deployments.telemetry import exporters, tracing
from deployments.telemetry.config import TracesConfig
from deployments.telemetry.exporters import AtMostEach, FileSpanExporter, exporter_of, traces_url
from deployments.telemetry.tracing import GATEWAY, INSTANCE, WORKER, context_of, traceparent_of, tracing_of
from tests.deployments.telemetry.receivers import Receiver, grpc_receiver, http_receiver
from tests.deployments.telemetry.recorder import Recorder

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
LINKED = get_current_span(context_of(TRACEPARENT)).get_span_context()
RECEIVERS: dict[Literal["grpc", "http"], Callable[[], AbstractContextManager[Receiver]]] = {
    "grpc": grpc_receiver,
    "http": http_receiver,
}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT", "PROTOCOL", "TRACES_ENDPOINT", "TRACES_PROTOCOL"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_spans_of_two_services_arrive_as_one_trace(protocol: Literal["grpc", "http"]) -> None:
    with RECEIVERS[protocol]() as receiver:
        config = TracesConfig(exporter="otlp", endpoint=receiver.endpoint, protocol=protocol)
        gateway, worker = tracing_of(config, GATEWAY, {INSTANCE: "g1"}), tracing_of(config, WORKER, {INSTANCE: "w1"})
        with gateway.tracer.start_as_current_span("outer", context_of(TRACEPARENT)) as span:
            crossing = traceparent_of(set_span_in_context(span, Context()))
        worker.tracer.start_span("inner", context_of(crossing)).end()
        gateway.close()
        worker.close()
        outer, inner = sorted(receiver.spans, key=lambda told: told.name, reverse=True)
    assert (outer.name, outer.trace, outer.parent) == ("outer", TRACE, SPAN)
    assert (inner.name, inner.trace, inner.parent) == ("inner", TRACE, outer.id)
    assert [told.resource["service.name"] for told in (outer, inner)] == ["dllm-gateway", "dllm-worker"]
    assert [told.resource["service.instance.id"] for told in (outer, inner)] == ["g1", "w1"]
    assert outer.resource["service.version"]


def test_what_is_not_given_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        traced = tracing_of(TracesConfig(exporter="otlp"), GATEWAY)
        traced.tracer.start_span("one", Context()).end()
        traced.close()
        assert [span.resource["deployment.environment.name"] for span in receiver.spans] == ["test"]


def test_a_protocol_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with pytest.raises(ValueError, match="OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'; supported are grpc, http/proto"):
        exporter_of(TracesConfig(exporter="otlp"))


def test_over_http_an_endpoint_without_a_path_gets_the_usual_one() -> None:
    assert traces_url("http://collector:4318") == traces_url("http://collector:4318/")
    assert traces_url("http://collector:4318") == "http://collector:4318/v1/traces"
    assert traces_url("https://vendor/otlp/traces?team=a") == "https://vendor/otlp/traces?team=a"


def test_writers_that_share_a_file_write_whole_lines_of_otlp(tmp_path: Path) -> None:
    """Each line is written by a file descriptor of its own, as by another process."""
    path, recorder = tmp_path / "traces.jsonl", Recorder()
    for number in range(50):
        recorder.tracer.start_span(f"span {number}", Context(), links=[Link(LINKED)]).end()

    def write(_: int) -> None:
        for _ in range(20):
            FileSpanExporter(str(path)).export(recorder.ended)

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(4)))
    lines = path.read_text().splitlines()
    assert len(lines) == 80
    for line in lines:
        ((resource,),) = json.loads(line).values()
        spans = resource["scopeSpans"][0]["spans"]
        assert [span["name"] for span in spans] == [f"span {number}" for number in range(50)]
        assert all((len(span["traceId"]), len(span["spanId"])) == (32, 16) for span in spans)
        assert all(span["links"][0]["traceId"] == TRACE for span in spans)


def test_a_line_of_the_file_is_read_back_as_otlp(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    traced = tracing_of(TracesConfig(exporter="file", file=str(path)), GATEWAY, {INSTANCE: "g1"})
    traced.tracer.start_span("one", context_of(TRACEPARENT), attributes={"number": 7}).end()
    traced.close()
    (line,) = path.read_text().splitlines()
    message = ParseDict(json.loads(line), TracesData())
    (span,) = message.resource_spans[0].scope_spans[0].spans
    assert (span.name, span.attributes[0].value.int_value) == ("one", 7)
    assert json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["parentSpanId"] == SPAN


def test_on_the_console_a_span_is_a_line_of_error_output(capsys: pytest.CaptureFixture[str]) -> None:
    traced = tracing_of(TracesConfig(exporter="console"), GATEWAY)
    traced.tracer.start_span("one", Context()).end()
    traced.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["name"] == "one"


def test_without_an_exporter_there_are_no_spans_and_no_threads() -> None:
    before = threading.active_count()
    traced = tracing_of(TracesConfig(), GATEWAY)
    span = traced.tracer.start_span("one", Context())
    assert not span.is_recording()
    assert traceparent_of(set_span_in_context(span, Context())) == ""
    traced.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(("sample", "recorded"), [(0.0, 0), (1.0, 20), (0.5, None)])
def test_a_gateway_records_its_share_of_the_requests_that_bring_no_decision(
    tmp_path: Path, sample: float, recorded: int | None
) -> None:
    traced = tracing_of(TracesConfig(exporter="file", file=str(tmp_path / "f"), sample=sample), GATEWAY)
    roots = [traced.tracer.start_span("root", Context()) for _ in range(20 if recorded is not None else 400)]
    count = sum(root.is_recording() for root in roots)
    assert count == recorded if recorded is not None else 120 < count < 280
    assert traced.tracer.start_span("root", context_of(TRACEPARENT)).is_recording()
    assert not traced.tracer.start_span("root", context_of(TRACEPARENT[:-1] + "0")).is_recording()
    traced.close()


def test_a_worker_records_what_its_gateway_does_and_a_share_of_its_own_steps(tmp_path: Path) -> None:
    config = TracesConfig(exporter="file", file=str(tmp_path / "f"), sample=1.0, engine_steps=0.0)
    traced = tracing_of(config, WORKER)
    assert not traced.tracer.start_span("engine.step", Context()).is_recording()
    assert traced.tracer.start_span("denoise", context_of(TRACEPARENT)).is_recording()
    traced.close()


@pytest.mark.parametrize("wrong", ["", "00-0-0-01", f"00-{'0' * 32}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01", "x" * 5000])
def test_a_context_that_is_no_context_is_empty(wrong: str) -> None:
    assert context_of(wrong) == Context()
    assert traceparent_of(context_of(wrong)) == ""


def test_contexts_cross_unchanged_if_they_are_recorded() -> None:
    assert traceparent_of(context_of(TRACEPARENT, "vendor=1")) == TRACEPARENT
    assert traceparent_of(context_of(TRACEPARENT[:-1] + "0")) == ""


class Stuck(SpanExporter):
    """Sends nothing, and comes back only when it is shut down."""

    def __init__(self) -> None:
        self.called, self.over = threading.Event(), threading.Event()

    def export(self, spans: object) -> None:  # type: ignore[override]
        self.called.set()
        self.over.wait()

    def shutdown(self) -> None:
        self.over.set()


def test_an_exporter_that_hangs_delays_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, before = Stuck(), threading.active_count()
    monkeypatch.setattr(tracing, "exporter_of", lambda config: exporter)
    monkeypatch.setattr(tracing, "CLOSE_SECONDS", 0.05)
    traced = tracing_of(TracesConfig(), GATEWAY)
    for _ in range(600):
        traced.tracer.start_span("one", Context()).end()
    assert exporter.called.wait(10.0)
    traced.close()
    assert exporter.over.is_set()
    traced.close()
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("OtelBatch")]:
        thread.join()
    assert threading.active_count() == before


def may_complain(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nobody had, for the last minute."""
    monkeypatch.setattr(exporters, "_complaints", AtMostEach(exporters.COMPLAINT_SECONDS))
    for name in exporters.LOGGERS:
        monkeypatch.setattr(logging.getLogger(name), "filters", [])


def test_a_receiver_that_is_away_harms_nobody_and_is_told_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "CLOSE_SECONDS", 0.2)
    with grpc_receiver() as receiver:
        endpoint = receiver.endpoint
    may_complain(monkeypatch)
    traced = tracing_of(TracesConfig(exporter="otlp", endpoint=endpoint, protocol="grpc"), GATEWAY)
    for _ in range(600):
        traced.tracer.start_span("one", Context()).end()
    traced.close()
    assert len(caplog.records) == 1
    assert "export" in caplog.text


def test_a_file_that_cannot_be_written_harms_nobody_and_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_complain(monkeypatch)
    traced = tracing_of(TracesConfig(exporter="file", file=str(tmp_path / "missing" / "f")), GATEWAY)
    for _ in range(1200):
        traced.tracer.start_span("one", Context()).end()
    traced.close()
    assert len(caplog.records) == 1


def test_a_complaint_is_repeated_after_its_time() -> None:
    now = 1000.0
    said = AtMostEach(60.0, lambda: now)
    record = logging.makeLogRecord({})
    assert [said.filter(record), said.filter(record)] == [True, False]
    now += 60.0
    assert said.filter(record)
