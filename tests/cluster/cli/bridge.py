"""Applications of this process as services that a synchronous client reaches."""

from __future__ import annotations

import asyncio

import httpx
from fastapi import FastAPI


class Bridge(httpx.BaseTransport):
    """Brings each request to the application that has its host name, in an event loop of its own."""

    def __init__(self, **apps: FastAPI) -> None:
        self._apps = apps

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await httpx.ASGITransport(self._apps[request.url.host]).handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())
