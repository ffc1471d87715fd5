from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.trace import NoOpTracer

from deployments.gateway import outflow
from deployments.gateway.outflow import Outflow, socket_tracer
from deployments.telemetry.config import TRACES_ENVIRONMENT, TracesConfig
from deployments.telemetry.tracing import PROXY, Tracing, tracing_of

TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    socket_tracer.cache_clear()
    yield
    socket_tracer.cache_clear()


def test_without_a_word_in_the_environment_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRACES_ENVIRONMENT, raising=False)
    assert isinstance(socket_tracer(), NoOpTracer)


def test_the_environment_says_where_the_spans_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, made = tmp_path / "spans.jsonl", list[Tracing]()

    def noting(config: TracesConfig, service: str) -> Tracing:
        assert service == PROXY
        made.append(tracing_of(config, PROXY))
        return made[0]

    monkeypatch.setattr(outflow, "tracing_of", noting)
    config = TracesConfig(exporter="file", file=str(file))
    monkeypatch.setenv(TRACES_ENVIRONMENT, config.model_dump_json())
    with Outflow(socket_tracer()) as stream:
        stream.open(TRACEPARENT)
    made[0].close()
    (exported,) = map(json.loads, file.read_text().splitlines())
    (span,) = exported["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (span["name"], span["traceId"], span["parentSpanId"]) == ("stream", "a" * 32, "b" * 16)
