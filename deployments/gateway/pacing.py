"""Waiting on the pool without losing sight of the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from typing import Any, TypeVar

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
        await to_its_end(_close(source, pending))


async def unless_disconnected(receive: Receive, work: Awaitable[T]) -> T:
    """The result of ``work``, which is cancelled when the client leaves: :class:`ClientClosedRequest`."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done() or not working.done():
            raise ClientClosedRequest
        return working.result()
    finally:
        await to_its_end(_cancel(working, leaving))


async def to_its_end(cleanup: Coroutine[Any, Any, None]) -> None:
    """Clean up whole, however often the one who waits for it is cancelled; that takes effect afterwards.

    Ray Serve cancels a request whose client has left while the framework does so too, and the second of the two would
    cut short what the first has begun.
    """
    task, cancelled = asyncio.create_task(cleanup), None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()


async def _close(source: AsyncGenerator[T], pending: asyncio.Future[T] | None) -> None:
    if pending is not None:
        await _cancel(pending)
    await source.aclose()


async def _cancel(*futures: asyncio.Future[Any]) -> None:
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
