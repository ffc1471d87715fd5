"""Where the spans of a process go. Whatever becomes of them there, no request notices."""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter, SpanExportResult

from deployments.telemetry.config import TracesConfig

COMPLAINT_SECONDS = 60.0
"""Between two lines in the log about spans that cannot be sent."""

LOGGERS = (
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)
"""Those that say so for each attempt."""

PROTOCOLS = {"grpc": "grpc", "http/protobuf": "http"}
"""The values of ``OTEL_EXPORTER_OTLP_PROTOCOL`` that are supported."""

TRACES_PATH = "/v1/traces"


def exporter_of(config: TracesConfig) -> SpanExporter | None:
    """The exporter that ``config`` names. Raises ``ValueError`` for a protocol in the environment that there is not."""
    quieten()
    match config.exporter:
        case "otlp":
            return _otlp(config)
        case "file":
            return FileSpanExporter(config.file or "")
        case "console":
            return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: span.to_json(indent=None) + "\n")
        case "none":
            return None


def _otlp(config: TracesConfig) -> SpanExporter:
    """What is not given is read from ``OTEL_EXPORTER_OTLP_*`` by the exporters. Each loads what only it needs."""
    if (config.protocol or _protocol_of_the_environment()) == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        return GrpcExporter(config.endpoint)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter(config.endpoint and traces_url(config.endpoint))


def traces_url(endpoint: str) -> str:
    """Where a receiver takes traces over HTTP: ``endpoint``, or its usual path there if it has none."""
    url = urlsplit(endpoint)
    return urlunsplit(url._replace(path=TRACES_PATH)) if url.path in ("", "/") else endpoint


def _protocol_of_the_environment() -> str:
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        value = os.environ.get(name, "").strip()
        if value and value not in PROTOCOLS:
            raise ValueError(f"{name} is {value!r}; supported are {', '.join(PROTOCOLS)}")
        if value:
            return PROTOCOLS[value]
    return "grpc"


class FileSpanExporter(SpanExporter):
    """Appends each batch to a file as a line of OTLP's JSON, which collectors read (``otlpjsonfile``).

    A line is written at once, so several processes may share the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        line = json.dumps(otlp_json(spans), separators=(",", ":")).encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(descriptor, line)
        finally:
            os.close(descriptor)
        return SpanExportResult.SUCCESS if written == len(line) else SpanExportResult.FAILURE


def otlp_json(spans: Sequence[ReadableSpan]) -> dict[str, Any]:
    """``spans`` in the JSON encoding of OTLP, in which identifiers are hex digits."""
    message: dict[str, Any] = MessageToDict(encode_spans(spans), use_integers_for_enums=True)
    for resource in message["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for holder in (span, *span.get("links", ())):
                    _spell_in_hex(holder)
    return message


def _spell_in_hex(holder: dict[str, Any]) -> None:
    for name in ("traceId", "spanId", "parentSpanId"):
        if name in holder:
            holder[name] = base64.b64decode(holder[name]).hex()


class AtMostEach(logging.Filter):
    """Lets loggers say something once in ``seconds``, together."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds, self._clock = seconds, clock
        self._said_at = -seconds

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        if now - self._said_at < self._seconds:
            return False
        self._said_at = now
        return True


_complaints = AtMostEach(COMPLAINT_SECONDS)


def quieten() -> None:
    """Have all exporters of this process together complain at most once in ``COMPLAINT_SECONDS``."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_complaints)
