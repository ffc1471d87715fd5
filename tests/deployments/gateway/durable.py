"""Gateways over one store, whose requests have ids of their own, and what a test reads from their streams."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import httpx
from fastapi import FastAPI

from deployments.gateway.settings import GatewaySettings
from deployments.state.store import RequestStore
from dllm_worker.request import Request
from tests.deployments.gateway.scripted import NOW, ScriptedPool, Step, app_over, model

NUMBERED = re.compile(rb"id: (\d+)\n")
_drawn = Random(7)


def durable_gateway(
    script: Callable[[Request], Iterable[Step]] | ScriptedPool,
    store: RequestStore,
    settings: GatewaySettings | None = None,
    *,
    now: Callable[[], float] = lambda: NOW,
) -> FastAPI:
    pool = script if isinstance(script, ScriptedPool) else ScriptedPool(script)
    return app_over({"tiny": model(pool)}, store, settings, clock=now, entropy=_drawn.randbytes)


@asynccontextmanager
async def serving(*apps: FastAPI) -> AsyncIterator[None]:
    """What the gateways do beside their answers."""
    if not apps:
        yield
        return
    async with apps[0].router.lifespan_context(apps[0]), serving(*apps[1:]):
        yield


def frames(response: httpx.Response) -> list[bytes]:
    """The frames of a stream, without the comments that keep it alive."""
    parts = [part + b"\n\n" for part in response.content.split(b"\n\n")[:-1]]
    return [part for part in parts if not part.startswith(b":")]


def behind(received: list[bytes], number: int) -> list[bytes]:
    """The frames that a reader lacks who has seen ``number``: those with a higher one, and the end."""
    return [frame for frame in received if not (found := NUMBERED.match(frame)) or int(found[1]) > number]


async def post(http: httpx.AsyncClient, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    response = await http.post(
        path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert response.status_code == 200, response.text
    return response
