"""A layer between a stream and its reader, so that neither has to wait for the other.

Between a gateway and Ray Serve's proxy nothing slows a stream down, and what a slow client leaves would pile up between
them. Here, next to the socket, it is taken off the producer's hands at once and held in a :class:`Backlog`.
"""

from __future__ import annotations

import asyncio

from opentelemetry.trace import NoOpTracer, Tracer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.gateway.backlog import Backlog
from deployments.gateway.outflow import Outflow

PATIENCE_SECONDS = 60.0
"""A client that takes nothing for so long counts as gone; the default of nginx's ``send_timeout``."""

PIECE_BYTES = 16 << 10
"""What is on its way to the socket is not merged any more, so it is little at a time."""


class SlowReader:
    """Holds event streams back for their readers, and traces how these took them. Any other answer passes as it
    comes.
    """

    def __init__(self, app: ASGIApp, patience_seconds: float = PATIENCE_SECONDS, tracer: Tracer | None = None) -> None:
        self._app, self._patience = app, patience_seconds
        self._tracer = tracer or NoOpTracer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        outlet = _Outlet(receive, send, self._patience, Outflow(self._tracer))
        try:
            await self._app(scope, outlet.receive, outlet.send)
        except asyncio.CancelledError:
            outlet.abandon()
            raise
        finally:
            await outlet.finish()


class _Outlet:
    """One answer on its way out. ``send`` returns at once for the frames of a stream; a task gives them to the client.

    The producer of a stream whose client is gone is told by ``receive``, as it would be without this layer.
    """

    def __init__(self, receive: Receive, send: Send, patience_seconds: float, outflow: Outflow) -> None:
        self._receive, self._send, self._patience = receive, send, patience_seconds
        self._outflow = outflow
        self._backlog = Backlog()
        self._writer: asyncio.Task[None] | None = None
        self._changed, self._lost = asyncio.Event(), asyncio.Event()
        self._complete = self._over = False

    async def send(self, message: Message) -> None:
        if _opens_event_stream(message):
            self._outflow.open(Headers(raw=message["headers"]).get("traceparent", ""))
            self._writer = asyncio.create_task(self._write(message))
        elif self._writer is None:
            await self._send(message)
        elif not self._lost.is_set():
            self._backlog.push(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            self._changed.set()
            # The writer goes first: a reader who is not behind gets each frame, also of those that come in one go.
            await asyncio.sleep(0)

    async def receive(self) -> Message:
        receiving, losing = asyncio.ensure_future(self._receive()), asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({receiving, losing}, return_when=asyncio.FIRST_COMPLETED)
            return receiving.result() if receiving.done() else {"type": "http.disconnect"}
        finally:
            receiving.cancel()
            losing.cancel()

    async def finish(self) -> None:
        """The producer has ended. Returns when its client has taken everything, or is gone."""
        self._over = True
        self._changed.set()
        if self._writer is not None:
            await self._writer

    def abandon(self) -> None:
        """Drop what is held."""
        if self._writer is not None:
            self._writer.cancel()

    async def _write(self, opening: Message) -> None:
        try:
            with self._outflow:
                await self._write_all(opening)
        except OSError:
            self._lost.set()
            self._backlog.clear()

    async def _write_all(self, opening: Message) -> None:
        await self._give(opening)
        while self._backlog or not (self._complete or self._over):
            await self._changed.wait()
            self._changed.clear()
            while self._backlog:
                await self._give(_body(self._backlog.take(PIECE_BYTES), more=True))
            self._outflow.dropped = self._backlog.merged
        if self._complete:
            await self._give(_body(b"", more=False))

    async def _give(self, message: Message) -> None:
        with self._outflow.giving(len(message.get("body", b""))):
            async with asyncio.timeout(self._patience):
                await self._send(message)


def _opens_event_stream(message: Message) -> bool:
    if message["type"] != "http.response.start":
        return False
    return Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")


def _body(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}
