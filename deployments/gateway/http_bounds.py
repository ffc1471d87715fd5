"""HTTP/1.1 on a client's socket, within bounds: uvicorn bounds neither heads, nor what waits, nor who dawdles."""

from __future__ import annotations

import asyncio
import os
import time
from asyncio import TimerHandle
from dataclasses import dataclass
from typing import ClassVar, NoReturn

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from deployments.errors import InvalidRequest, Overloaded, RequestTimeout, RequestTooLarge, ServingError
from deployments.gateway.ascii_json import ascii_json
from deployments.gateway.ids import ulid


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """Sizes in bytes, times in seconds.

    ``head`` is a request line with all headers, within which they take ``head_seconds`` at most from the first byte, or
    from the connection on. A request is there as a whole in ``request_seconds``. Of what surrounds its content, as the
    sizes of chunks, there may be eight times as much. ``pipelined`` requests wait behind one that is answered.
    """

    url: int = 8 << 10
    head: int = 32 << 10
    headers: int = 100
    head_seconds: float = 10.0
    request_seconds: float = 60.0
    pipelined: int = 8
    connections: int = 4096


class _Refused(Exception):
    """Ends the parser where it stands."""


class BoundedHttp(HttpToolsProtocol):
    """One connection. What exceeds the bounds is refused in the shape of all errors, and the connection ends.

    Nobody is told so in the midst of an answer to an earlier request. There are no WebSockets.
    """

    bounds: ClassVar[HttpBounds] = HttpBounds()

    _deadline: TimerHandle | None = None
    _refusal: ServingError | None = None
    _received = _content = _head = 0
    _reads_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            self._refuse(Overloaded())
        else:
            self._wait(self.bounds.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._received += len(data)
        if self._deadline is None:
            self._wait(self.bounds.head_seconds)
        super().data_received(data)
        if self._received > self.bounds.head + 9 * self._content and not self.transport.is_closing():
            self._refuse(RequestTooLarge(f"What surrounds the body has more than {self.bounds.head} bytes."))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:
            self._wait(self.bounds.head_seconds)

    def on_url(self, url: bytes) -> None:
        if len(self.url) + len(url) > self.bounds.url:
            self._refuse_in_parser(RequestTooLarge(f"The URL has more than {self.bounds.url} bytes."))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += len(name) + len(value)
        if len(self.headers) >= self.bounds.headers:
            self._refuse_in_parser(RequestTooLarge(f"There are more than {self.bounds.headers} headers."))
        if self._head > self.bounds.head:
            self._refuse_in_parser(RequestTooLarge(f"The headers have more than {self.bounds.head} bytes."))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= self.bounds.pipelined:
            self._refuse_in_parser(Overloaded())
        super().on_headers_complete()
        self._reads_body = True
        self._wait(self.bounds.request_seconds)

    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._received = self._content = self._head = 0
        self._reads_body = False
        self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when its parser gives up, also where it does so by our will."""
        self._refuse(self._refusal or InvalidRequest("This is no valid HTTP/1.1 request."))

    def _should_upgrade_to_ws(self) -> bool:
        return False

    def _refuse_in_parser(self, failure: ServingError) -> NoReturn:
        self._refusal = failure
        raise _Refused

    def _refuse(self, failure: ServingError) -> None:
        if self._answers():
            self.transport.abort()
            return
        now, jitter = time.time(), os.urandom(1)[0] / 256
        request_id = f"req_{ulid(now, os.urandom)}"
        body = ascii_json(failure.envelope(request_id))
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            "x-request-id": request_id,
            **failure.headers(jitter),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(STATUS_LINE[failure.status] + head.encode() + b"\r\n" + body)
        self.transport.close()

    def _answers(self) -> bool:
        """Whether an answer may have begun that is not over."""
        cycle = self.cycle
        return bool(self.pipeline) or (cycle is not None and cycle.response_started and not cycle.response_complete)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(seconds, self._out_of_time)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _out_of_time(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._reads_body and self.cycle.response_complete:
            self.transport.close()
        elif self._answers() and not self._reads_body:
            self._wait(self.bounds.head_seconds)
        else:
            self._refuse(RequestTimeout())


def speak_within_bounds() -> None:
    """Have the HTTP servers of this process speak so, as far as they leave the protocol to uvicorn. To be called before
    they listen.
    """
    from uvicorn.protocols.http import auto

    auto.AutoHTTPProtocol = BoundedHttp
