"""Serves the operator's application beside the gateway, in the same event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from deployments.gateway.http_bounds import BoundedHttp

BACKLOG = 128
GRACE_SECONDS = 2


class _Server(uvicorn.Server):
    """Signals belong to the process, which is not this server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_admin(app: ASGIApp, host: str, port: int) -> None:
    """Serve ``app`` until cancelled; requests under way then have ``GRACE_SECONDS`` to end.

    All gateways of a node listen on the one port, and the kernel deals the connections out among them. Raises
    :class:`OSError` when another program has it.
    """
    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    with shared_listener(host, port) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="admin")
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving


def shared_listener(host: str, port: int) -> socket.socket:
    """A socket that listens, on a port that others like it may have too. Raises :class:`OSError`."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
