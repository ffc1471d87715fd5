from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deployments.gateway.proxy import OneRequestId


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
