"""The metrics of this process over HTTP, for the gateway that collects those of all processes."""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, cast

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry

from deployments.telemetry.targets import Target

PATH = "/metrics"

IDLE_SECONDS = 5.0
"""The longest that a connection may say nothing."""

POLL_SECONDS = 0.1
"""The longest that a server listens on after it was told to stop."""


class Exposition:
    """Gives ``registry`` to who knows the token, each series with the label ``process``, until it is closed.

    It listens on a free port of ``host``. The token keeps others on the network from reading the names of tenants, and
    a process that comes by the port of a dead one from being taken for it. Raises :class:`OSError` when it cannot
    listen there.
    """

    def __init__(self, registry: CollectorRegistry, component: str, replica: str, host: str) -> None:
        self._server = _Server(host)
        address = f"[{host}]" if ":" in host else host
        token = secrets.token_hex(16)
        self.target = Target(component, replica, f"{address}:{self._server.server_address[1]}", token)
        self._server.token, self._server.labelled = token, _Labelled(registry, self.target.process)
        threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), name="metrics", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class _Labelled(Collector):
    """What ``registry`` has, with the process that has it, and without the times at which series began, which would
    be a third more of them.
    """

    def __init__(self, registry: CollectorRegistry, process: str) -> None:
        self._registry, self._process = registry, process

    def collect(self) -> Iterable[Family]:
        for family in self._registry.collect():
            family.samples = [
                sample._replace(labels={**sample.labels, "process": self._process})
                for sample in family.samples
                if not sample.name.endswith("_created")
            ]
            yield family


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    token: str
    labelled: _Labelled

    def __init__(self, host: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), _Handler)

    def server_bind(self) -> None:
        # That of HTTPServer asks a name server what the host is called, which may take long.
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asks may go away before the answer."""


class _Handler(BaseHTTPRequestHandler):
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        server = cast(_Server, self.server)
        if self.path != PATH:
            self._answer(HTTPStatus.NOT_FOUND)
        elif not hmac.compare_digest(self.headers.get("Authorization", "").encode(), f"Bearer {server.token}".encode()):
            self._answer(HTTPStatus.UNAUTHORIZED)
        else:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, content_type, encode(server.labelled))

    def _answer(self, status: HTTPStatus, content_type: str = "text/plain", body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "dllm"

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""
