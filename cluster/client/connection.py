"""Sends calls, again where that is right, and streams that go on where they were cut off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar

import httpx

from cluster.client.attempts import Attempts, StreamCourse, Surroundings
from cluster.client.calls import Call
from cluster.client.errors import ConnectionFailed
from cluster.client.events import Event
from cluster.client.reading import StreamReader

T = TypeVar("T")
Sleep = Callable[[float], None]

TIMEOUT = httpx.Timeout(600.0, connect=10.0)
"""A long answer takes minutes."""


class Connection:
    """Sends calls to one base URL with one key."""

    def __init__(
        self,
        base_url: str,
        key: str,
        surroundings: Surroundings,
        sleep: Sleep = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT, transport=transport)
        self.surroundings, self.sleep = surroundings, sleep

    def answer(self, call: Call[T]) -> T:
        """The answer to ``call``. Raises :class:`ClientError`."""
        return call.read(self.open(call, stream=False))

    def open(self, call: Call[Any], *, stream: bool = True) -> httpx.Response:
        """A response that is a success; of a stream nothing is read yet. Raises :class:`ClientError`."""
        attempts = Attempts(call, self.surroundings)
        while True:
            try:
                response = self._http.send(request_of(self._http, call), stream=stream)
                if response.is_success:
                    return response
                response.read()
            except httpx.RequestError as error:
                wait = attempts.lost(error)
            else:
                wait = attempts.refused(response)
            self.sleep(wait)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class Stream:
    """The events of an answer as they come, within a ``with`` block; leaving it leaves the stream.

    One that ``resumes`` goes on over a new connection when it is cut off; its request has to be a stored one.
    """

    def __init__(
        self, connection: Connection, call: Call[httpx.Response], reader: StreamReader, *, resumes: bool
    ) -> None:
        self._connection, self._call = connection, call
        self._course = StreamCourse(connection.surroundings, reader, resumes=resumes)
        self._response: httpx.Response | None = None

    @property
    def headers(self) -> httpx.Headers:
        """Of the answer, or of the part of it that comes now."""
        return self._connected().headers

    def __enter__(self) -> Self:
        self._response = self._connection.open(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        self._connected().close()

    def __iter__(self) -> Iterator[Event]:
        reader = self._course.reader
        while not reader.has_ended:
            response = self._connected()
            try:
                for piece in response.iter_bytes():
                    yield from reader.feed(piece)
                if not reader.has_ended:
                    raise httpx.ReadError("the stream has no end", request=response.request)
            except httpx.RequestError as error:
                response.close()
                call, wait = self._course.cut(error)
                self._connection.sleep(wait)
                self._response = self._connection.open(call)

    def _connected(self) -> httpx.Response:
        if self._response is None:
            raise ConnectionFailed("A stream is read within a with block.")
        return self._response


def request_of(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
    """One attempt at ``call``."""
    return http.build_request(call.method, call.path, json=call.body, params=call.query or None, headers=call.headers)
