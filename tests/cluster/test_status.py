from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cluster.status import inquire, render
from tests.cluster.clusters import running


class Gateway(BaseHTTPRequestHandler):
    """Answers readiness as the gateway does."""

    answer: tuple[int, dict[str, Any]]

    def do_GET(self) -> None:
        status, body = self.answer if self.path == "/health/ready" else (404, {})
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the test's output is its own."""


@pytest.fixture
def gateway() -> Iterator[str]:
    """Its base URL."""
    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_the_gateway_says_which_models_are_ready(gateway: str) -> None:
    Gateway.answer = (200, {"status": "ready", "models": {"tiny-code": True, "tiny-sudoku": False}})
    status = inquire(running(gateway))
    assert status.ready
    assert "tiny-code (ready), tiny-sudoku (not ready)" in render(status)


def test_a_gateway_without_a_replica_is_not_ready(gateway: str) -> None:
    Gateway.answer = (503, {"error": {"code": "no_replica"}})
    status = inquire(running(gateway))
    assert not status.ready
    assert f"{gateway} is not ready." in render(status)


def test_a_gateway_that_does_not_answer_is_not_ready() -> None:
    assert not inquire(running("http://127.0.0.1:1/v1")).ready
    assert not inquire(running(ready=False)).ready


def test_the_password_of_the_state_is_not_shown() -> None:
    text = render(inquire(running(ready=False)))
    assert "redis://:***@127.0.0.1:1/0" in text
    assert "secret" not in text


def test_where_the_requests_are_logged_is_shown() -> None:
    assert "requests on the error output of each gateway" in render(inquire(running(ready=False)))
    logging = replace(running(ready=False), access_log="/run/dllm/access.log")
    assert "requests /run/dllm/access.log" in render(inquire(logging))
