"""The log of a process, as lines of JSON that say to which trace they belong."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

PACKAGE = "deployments"
"""The loggers of whose records lines are made."""


class JsonLines(logging.Formatter):
    """One line of JSON for each record, with the ids of the span in which it was logged, if any, and the traceback of
    its exception.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        span = get_current_span().get_span_context()
        if span.is_valid:
            line |= {"trace_id": format_trace_id(span.trace_id), "span_id": format_span_id(span.span_id)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, separators=(",", ":"))


class ErrorOutput(logging.Handler):
    """Writes lines of JSON to what is the error output when it does so."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def log_lines() -> None:
    """From now on write what this program's loggers say to the error output. It may be called again."""
    logger = logging.getLogger(PACKAGE)
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, ErrorOutput) for handler in logger.handlers):
        logger.addHandler(ErrorOutput())
