"""The operator's server on a real socket, beside others on the same port."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.gateway.admin.server import serve_admin
from tests.deployments.gateway.admin.administration import ADMIN_KEY, Place

HOST = "127.0.0.1"
MANY = 64


def named(name: str) -> ASGIApp:
    """An application that says its name."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", str(len(name)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": name.encode()})

    return app


@asynccontextmanager
async def serving(app: ASGIApp, port: int) -> AsyncIterator[None]:
    server = asyncio.create_task(serve_admin(app, HOST, port))
    await asyncio.sleep(0)  # it listens from its first step on
    try:
        yield
    finally:
        server.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server


@pytest.fixture
def port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        found: int = probe.getsockname()[1]
    return found


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Each request has a connection of its own."""
    async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0)) as client:
        yield client


async def ask(http: httpx.AsyncClient, port: int) -> str:
    return (await http.get(f"http://{HOST}:{port}/")).text


async def test_servers_share_a_port_and_leave_it_without_a_trace(
    port: int, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with caplog.at_level(logging.WARNING):
        async with serving(named("one"), port), serving(named("two"), port):
            answers = {await ask(http, port) for _ in range(MANY)}
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
        assert answers == {"one", "two"}
        with pytest.raises(httpx.ConnectError):
            await ask(http, port)
        async with serving(named("three"), port):
            assert await ask(http, port) == "three"
    assert not caplog.records


async def test_a_request_under_way_is_answered_when_the_server_ends(port: int, http: httpx.AsyncClient) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await named("late")(scope, receive, send)

    server = asyncio.create_task(serve_admin(slow, HOST, port))
    await asyncio.sleep(0)
    asking = asyncio.create_task(ask(http, port))
    await begun.wait()
    server.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await asking == "late"
    with pytest.raises(asyncio.CancelledError):
        await server


async def test_a_port_that_another_program_has_is_refused(port: int) -> None:
    with socket.create_server((HOST, port)), pytest.raises(OSError, match="in use"):
        await serve_admin(named("one"), HOST, port)


async def test_the_operators_application_is_served(place: Place, port: int, http: httpx.AsyncClient) -> None:
    tenants = f"http://{HOST}:{port}/admin/v1/tenants"
    async with serving(place.app, port):
        health = await http.get(f"http://{HOST}:{port}/health")
        refused = await http.get(tenants)
        opened = await http.get(tenants, headers={"authorization": f"Bearer {ADMIN_KEY}"})
    assert (health.status_code, refused.status_code, opened.status_code) == (200, 401, 200)
    assert "server" not in health.headers
