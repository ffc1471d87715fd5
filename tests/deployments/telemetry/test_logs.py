from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from deployments.telemetry.logs import PACKAGE, ErrorOutput, log_lines

logger = logging.getLogger("deployments.somewhere")
SPAN = NonRecordingSpan(SpanContext(trace_id=0xAF, span_id=0xB7, is_remote=False))


@pytest.fixture(autouse=True)
def _lines() -> Iterator[None]:
    package = logging.getLogger(PACKAGE)
    handlers, level = list(package.handlers), package.level
    log_lines()
    log_lines()
    yield
    package.handlers[:] = handlers
    package.setLevel(level)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_within_a_span_has_its_ids_and_one_outside_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    with use_span(SPAN):
        logger.info("request %s goes on", "r1")
    logger.warning("two\nlines")
    within, outside = told(capsys)
    assert within.pop("ts").endswith("+00:00")
    assert within == {
        "level": "INFO",
        "logger": "deployments.somewhere",
        "message": "request r1 goes on",
        "trace_id": f"{0xAF:032x}",
        "span_id": f"{0xB7:016x}",
    }
    assert outside["message"] == "two\nlines"
    assert outside.keys().isdisjoint({"trace_id", "span_id"})


def test_an_exception_is_in_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("so it is")
    except ValueError:
        logger.exception("failed")
    (line,) = told(capsys)
    assert line["exception"].endswith("ValueError: so it is")


def test_other_loggers_are_left_alone() -> None:
    assert not [handler for handler in logging.getLogger().handlers if isinstance(handler, ErrorOutput)]
