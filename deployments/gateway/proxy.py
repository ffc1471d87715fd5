"""The layers before every gateway, in whichever process has the client's socket: Ray Serve's proxy or, behind
HAProxy, the gateway's own replica.
"""

from __future__ import annotations

import os
import time

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.gateway.ids import brought_id, ulid
from deployments.gateway.outflow import socket_tracer
from deployments.gateway.slow_reader import SlowReader
from deployments.loopback import listen_to_clients

HEADER = "x-request-id"


def layers() -> list[Middleware]:
    """What Ray Serve's proxy imports by ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH``, before it listens."""
    listen_to_clients()
    return [Middleware(SlowReader, tracer=socket_tracer()), Middleware(OneRequestId)]


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
