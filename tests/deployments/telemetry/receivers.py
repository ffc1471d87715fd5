"""Receivers of OTLP, over gRPC and HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from tests.deployments.telemetry.trees import Told, told

PATIENCE_SECONDS = 30.0


class Receiver:
    """What has arrived at ``endpoint``."""

    def __init__(self) -> None:
        self.endpoint = ""
        self._arrived = threading.Condition()
        self._spans: list[Told] = []

    @property
    def spans(self) -> list[Told]:
        with self._arrived:
            return list(self._spans)

    def take(self, exported: ExportTraceServiceRequest) -> None:
        with self._arrived:
            self._spans += told(exported)
            self._arrived.notify_all()

    def wait_for(self, holds: Callable[[list[Told]], bool], seconds: float = PATIENCE_SECONDS) -> list[Told]:
        """The spans, as soon as that holds of them."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            while not holds(self._spans):
                left = deadline - time.monotonic()
                if not self._arrived.wait(left) and left <= 0:
                    raise TimeoutError(f"arrived: {sorted(span.name for span in self._spans)}")
            return list(self._spans)


class _Servicer(TraceServiceServicer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(self, request: ExportTraceServiceRequest, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        self._receiver.take(request)
        return ExportTraceServiceResponse()


@contextmanager
def grpc_receiver() -> Iterator[Receiver]:
    receiver, threads = Receiver(), ThreadPoolExecutor(4)
    server = grpc.server(threads)
    add_TraceServiceServicer_to_server(_Servicer(receiver), server)  # type: ignore[no-untyped-call]
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(None).wait()
        threads.shutdown()


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            known = self.path == "/v1/traces"
            if known:
                receiver.take(ExportTraceServiceRequest.FromString(body))
            self.send_response(200 if known else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    receiver.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
