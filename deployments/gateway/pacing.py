"""Waiting on the pool without losing sight of the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import TypeVar

import anyio
from starlette.types import Receive

from deployments.errors import ClientClosedRequest

T = TypeVar("T")


async def paced(source: AsyncGenerator[T], seconds: float) -> AsyncGenerator[T | None]:
    """The items of ``source``, and ``None`` each time that none has come for ``seconds``. Closing it closes both."""
    pending: asyncio.Future[T] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(source))
            arrived, _ = await asyncio.wait({pending}, timeout=seconds)
            if not arrived:
                yield None
                continue
            item, pending = pending, None
            try:
                yield item.result()
            except StopAsyncIteration:
                return
    finally:
        with anyio.CancelScope(shield=True):
            if pending is not None:
                pending.cancel()
                await asyncio.gather(pending, return_exceptions=True)
            await source.aclose()


async def unless_disconnected(receive: Receive, work: Awaitable[T]) -> T:
    """The result of ``work``, which is cancelled when the client leaves: :class:`ClientClosedRequest`."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done() or not working.done():
            raise ClientClosedRequest
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
