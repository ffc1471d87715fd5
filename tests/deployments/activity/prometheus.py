"""A Prometheus that knows nothing but samples of a device, behind a real socket."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SELECTOR = re.compile(r"^\{(?P<matchers>.*)\}\[(?P<window>\d+)s\]$")
MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')


@dataclass
class FakePrometheus:
    """Series as ``(labels, [(time, value), ...])``. While it is ``broken`` it answers with that status or text."""

    now: float = 0.0
    url: str = ""
    broken: int | str | None = None
    series: list[tuple[Mapping[str, str], list[tuple[float, str]]]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)

    def answer(self, query: str) -> dict[str, Any]:
        """What Prometheus says to an instant query for a range of samples."""
        self.queries.append(query)
        found = SELECTOR.match(query)
        assert found is not None, query
        matchers, oldest = MATCHER.findall(found["matchers"]), self.now - int(found["window"])
        result = []
        for labels, samples in self.series:
            values = [[at, value] for at, value in samples if oldest < at <= self.now]
            if values and all(_matches(labels.get(name, ""), how, what) for name, how, what in matchers):
                result.append({"metric": dict(labels), "values": values})
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def _matches(value: str, how: str, what: str) -> bool:
    return value == what if how == "=" else re.fullmatch(what, value) is not None


@contextmanager
def prometheus() -> Iterator[FakePrometheus]:
    fake = FakePrometheus()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            assert address.path == "/api/v1/query"
            status = fake.broken if isinstance(fake.broken, int) else 200
            query = parse_qs(address.query)["query"][0]
            body = fake.broken if isinstance(fake.broken, str) else json.dumps(fake.answer(query))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
