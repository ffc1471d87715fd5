from __future__ import annotations

import asyncio
from unittest.mock import Mock

import httpx
import pytest
from ray.serve._private.proxy import GenericProxy
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.gateway.proxy import Enough, NoOrders, OneRequestId, layers


async def echo(request: Request) -> JSONResponse:
    seen = request.headers.getlist("x-request-id")
    response = JSONResponse(seen)
    for name in seen:
        response.headers.append("x-request-id", name)
        response.headers.append("X-Request-ID", name)
    return response


async def ask(headers: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """The ids that the gateway saw, and those that the client got."""
    app = OneRequestId(Starlette(routes=[Route("/", echo)]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/", headers=headers)
    return answer.json(), answer.headers.get_list("x-request-id")


async def test_a_clients_id_is_kept_and_answered_once() -> None:
    assert await ask([("X-Request-Id", "my-id.1")]) == (["my-id.1"], ["my-id.1"])


@pytest.mark.parametrize("brought", [[], [("x-request-id", "two words")], [("x-request-id", "x" * 129)]])
async def test_a_missing_or_unsafe_id_is_replaced(brought: list[tuple[str, str]]) -> None:
    seen, answered = await ask(brought)
    assert seen == answered
    assert len(seen) == 1
    assert seen[0].startswith("req_")


@pytest.mark.parametrize(
    "name",
    [
        "serve_multiplexed_model_id",
        "Serve-Multiplexed-Model-Id",
        "x-session-id",
        "X_Session_Id",
        "x-request-timeout-seconds",
        "x-request-disconnect-disabled",
        "x-serve-router-anything",
    ],
)
async def test_nobody_gives_orders_to_ray_serve(name: str) -> None:
    async def headers(request: Request) -> JSONResponse:
        return JSONResponse([name for name, _ in request.headers.items()])

    app = NoOrders(Starlette(routes=[Route("/", headers)]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        seen = (await client.get("/", headers=[(name.encode(), b"\xff"), (b"x-mine", b"1")])).json()
    assert name.lower() not in seen
    assert "x-mine" in seen


async def test_no_more_of_a_body_is_taken_than_enough() -> None:
    taken, waiting = 0, asyncio.Event()

    async def piece() -> Message:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"12345", "more_body": True}

    async def greedy(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            receiving = asyncio.ensure_future(receive())
            for _ in range(3):
                await asyncio.sleep(0)
            if not receiving.done():
                receiving.cancel()
                waiting.set()
                return

    async def send(message: Message) -> None:
        raise AssertionError

    await Enough(greedy, most=12)({"type": "http", "headers": []}, piece, send)
    assert (waiting.is_set(), taken) == (True, 3)


async def test_a_proxy_that_drains_ends_each_connection_with_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GenericProxy, "update_draining", GenericProxy.update_draining)
    app: ASGIApp = Starlette(routes=[Route("/", echo)])
    for layer in layers():
        app = layer.cls(app, *layer.args, **layer.kwargs)
    proxy = Mock(spec=GenericProxy, _draining_start_time=None, _node_id="node")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for draining in (False, True, False):
            GenericProxy.update_draining(proxy, draining)
            assert (await client.get("/")).headers.get("connection") == ("close" if draining else None)
