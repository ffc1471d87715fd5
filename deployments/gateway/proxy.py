"""The layers before every gateway, in whichever process has the client's socket: Ray Serve's proxy or, behind
HAProxy, the gateway's own replica.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.gateway.grpc.bounds import bound_calls
from deployments.gateway.http_bounds import speak_within_bounds
from deployments.gateway.ids import brought_id, ulid
from deployments.gateway.outflow import socket_tracer
from deployments.gateway.slow_reader import SlowReader
from deployments.loopback import listen_to_clients

HEADER = "x-request-id"

ORDERS = frozenset(
    {"serve-multiplexed-model-id", "x-session-id", "x-request-timeout-seconds", "x-request-disconnect-disabled"}
)
ROUTER_ORDERS = "x-serve-router-"
"""Headers that Ray Serve would obey, whoever sends them, and that break its proxy where they are not UTF-8."""


def layers() -> list[Middleware]:
    """What Ray Serve's proxy imports by ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH``, before it listens."""
    from ray.serve._private.constants import RAY_SERVE_GRPC_MAX_MESSAGE_SIZE

    listen_to_clients()
    speak_within_bounds()
    bound_calls()
    return [
        Middleware(Leaving, is_draining=_told_to_drain()),
        Middleware(SlowReader, tracer=socket_tracer()),
        Middleware(OneRequestId),
        Middleware(NoOrders),
        Middleware(Enough, most=RAY_SERVE_GRPC_MAX_MESSAGE_SIZE),
    ]


def _told_to_drain() -> Callable[[], bool]:
    """Whether Ray Serve has told the proxy of this process to drain, for which it has no interface."""
    from ray.serve._private.proxy import GenericProxy

    tell, is_draining = GenericProxy.update_draining, False

    def heard(proxy: GenericProxy, draining: bool) -> None:
        nonlocal is_draining
        is_draining = draining
        tell(proxy, draining)

    GenericProxy.update_draining = heard
    return lambda: is_draining


class Leaving:
    """Ends each connection with its next answer while the proxy drains: its client comes back through another one."""

    def __init__(self, app: ASGIApp, is_draining: Callable[[], bool]) -> None:
        self._app, self._is_draining = app, is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and self._is_draining():
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_last)


class OneRequestId:
    """Gives each request one id that is safe to log, and each answer that id once.

    The proxy itself takes whatever the client sends for an id, and adds its header to the gateway's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        request_id = brought_id(headers.get(HEADER)) or f"req_{ulid(time.time(), os.urandom)}"
        headers[HEADER] = request_id

        async def send_once(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_once)


class NoOrders:
    """Takes away the headers by which a client would tell Ray Serve where a request goes, how long it may take, and
    that it goes on when its client has left.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [header for header in scope["headers"] if not _is_order(header[0])]}
        await self._app(scope, receive, send)


def _is_order(name: bytes) -> bool:
    plain = name.decode("latin-1").lower().replace("_", "-")
    return plain in ORDERS or plain.startswith(ROUTER_ORDERS)


class Enough:
    """Takes no more of a body from its client than ``most`` bytes, and the piece with which it has more.

    Ray Serve's proxy holds what the gateway has not read yet, and has no bound for it. The gateway refuses a body that
    is too large before ``most``, and what is left of it stays with its client.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        left = self._most

        async def receive_some() -> Message:
            nonlocal left
            if left < 0:
                await asyncio.Event().wait()
            message = await receive()
            left -= len(message.get("body", b""))
            return message

        await self._app(scope, receive_some, send)
