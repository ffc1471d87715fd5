"""The same as :mod:`cluster.client.connection` with asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self, TypeVar

import httpx

from cluster.client.attempts import Attempts, StreamCourse, Surroundings
from cluster.client.calls import Call
from cluster.client.connection import TIMEOUT, request_of
from cluster.client.errors import ConnectionFailed
from cluster.client.events import Event
from cluster.client.reading import StreamReader

T = TypeVar("T")
AsyncSleep = Callable[[float], Awaitable[None]]


class AsyncConnection:
    """Sends calls to one base URL with one key."""

    def __init__(
        self,
        base_url: str,
        key: str,
        surroundings: Surroundings,
        sleep: AsyncSleep = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=TIMEOUT, transport=transport)
        self.surroundings, self.sleep = surroundings, sleep

    async def answer(self, call: Call[T]) -> T:
        """The answer to ``call``. Raises :class:`ClientError`."""
        return call.read(await self.open(call, stream=False))

    async def open(self, call: Call[Any], *, stream: bool = True) -> httpx.Response:
        """A response that is a success; of a stream nothing is read yet. Raises :class:`ClientError`."""
        attempts = Attempts(call, self.surroundings)
        while True:
            try:
                response = await self._http.send(request_of(self._http, call), stream=stream)
                if response.is_success:
                    return response
                await response.aread()
            except httpx.RequestError as error:
                wait = attempts.lost(error)
            else:
                wait = attempts.refused(response)
            await self.sleep(wait)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class AsyncStream:
    """The events of an answer as they come, within an ``async with`` block; leaving it leaves the stream.

    One that ``resumes`` goes on over a new connection when it is cut off; its request has to be a stored one.
    """

    def __init__(
        self, connection: AsyncConnection, call: Call[httpx.Response], reader: StreamReader, *, resumes: bool
    ) -> None:
        self._connection, self._call = connection, call
        self._course = StreamCourse(connection.surroundings, reader, resumes=resumes)
        self._response: httpx.Response | None = None

    @property
    def headers(self) -> httpx.Headers:
        """Of the answer, or of the part of it that comes now."""
        return self._connected().headers

    async def __aenter__(self) -> Self:
        self._response = await self._connection.open(self._call)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connected().aclose()

    async def __aiter__(self) -> AsyncIterator[Event]:
        reader = self._course.reader
        while not reader.has_ended:
            response = self._connected()
            try:
                async for piece in response.aiter_bytes():
                    for event in reader.feed(piece):
                        yield event
                if not reader.has_ended:
                    raise httpx.ReadError("the stream has no end", request=response.request)
            except httpx.RequestError as error:
                await response.aclose()
                call, wait = self._course.cut(error)
                await self._connection.sleep(wait)
                self._response = await self._connection.open(call)

    def _connected(self) -> httpx.Response:
        if self._response is None:
            raise ConnectionFailed("A stream is read within an async with block.")
        return self._response
