from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import anyio
import pytest
from starlette.types import Message

from deployments.errors import ClientClosedRequest, Overloaded
from deployments.gateway.pacing import paced, unless_disconnected


class Source:
    """Yields after ``gate`` opens, and knows whether it was closed."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.closed = False

    async def items(self) -> AsyncGenerator[int]:
        try:
            yield 1
            await self.gate.wait()
            yield 2
        finally:
            self.closed = True


async def test_pauses_are_marked_and_nothing_is_lost() -> None:
    source = Source()
    items = paced(source.items(), 0.001)
    assert await anext(items) == 1
    assert await anext(items) is None
    source.gate.set()
    assert [item async for item in items if item is not None] == [2]
    assert source.closed


async def test_closing_closes_a_source_that_is_waited_for() -> None:
    source = Source()
    items = paced(source.items(), 0.001)
    assert [await anext(items), await anext(items)] == [1, None]
    await items.aclose()
    assert source.closed


async def test_a_failure_of_the_source_passes_through() -> None:
    async def failing() -> AsyncGenerator[int]:
        yield 1
        raise Overloaded

    items = paced(failing(), 10.0)
    assert await anext(items) == 1
    with pytest.raises(Overloaded):
        await anext(items)


class Lingering:
    """A source that takes until ``released`` to close."""

    def __init__(self) -> None:
        self.begun, self.closing, self.released = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.closed = False

    async def items(self) -> AsyncGenerator[int]:
        try:
            self.begun.set()
            await asyncio.get_running_loop().create_future()
            yield 1
        finally:
            self.closing.set()
            await self.released.wait()
            self.closed = True


async def consume(items: AsyncGenerator[int | None]) -> None:
    async for _ in items:
        pass


async def whole(items: AsyncGenerator[int]) -> int:
    return sum([item async for item in items])


@pytest.mark.parametrize("streams", [True, False])
async def test_a_second_cancellation_does_not_cut_the_first_short(streams: bool) -> None:
    source = Lingering()
    work = consume(paced(source.items(), 10.0)) if streams else unless_disconnected(connected, whole(source.items()))
    reader = asyncio.ensure_future(work)
    await source.begun.wait()
    reader.cancel()
    await source.closing.wait()
    reader.cancel()
    source.released.set()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert source.closed


async def test_work_ends_before_those_who_wait_for_it_go_on() -> None:
    """Also when they wait in a group that is being cancelled, as a framework does it: again and again."""
    source = Lingering()
    items = paced(source.items(), 10.0)
    async with anyio.create_task_group() as group:
        group.start_soon(consume, items)
        await source.begun.wait()
        group.cancel_scope.cancel()
        source.released.set()
    assert source.closed


async def connected() -> Message:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def disconnected() -> Message:
    return {"type": "http.disconnect"}


async def test_work_is_done_while_the_client_stays() -> None:
    async def work() -> int:
        return 3

    assert await unless_disconnected(connected, work()) == 3


async def test_work_is_cancelled_when_the_client_leaves() -> None:
    source = Source()

    async def work() -> list[int]:
        return [item async for item in source.items()]

    with pytest.raises(ClientClosedRequest):
        await unless_disconnected(disconnected, work())


async def test_a_failure_of_the_work_passes_through() -> None:
    async def work() -> int:
        raise Overloaded

    with pytest.raises(Overloaded):
        await unless_disconnected(connected, work())
