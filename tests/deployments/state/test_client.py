from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from deployments.state.client import CallSettings, Client
from deployments.state.store import StateUnavailable


class Losing:
    """A client library that loses a cancellation, as one does whose bytes have just been sent."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def initialize(self) -> None:
        """It needs no discovery."""

    async def execute_command(self, *command: Any) -> bytes:
        self.asked.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return b"late"
        raise AssertionError


async def test_a_cancellation_that_the_library_loses_is_none_the_less_one() -> None:
    losing = Losing()
    calling = asyncio.create_task(Client(cast(Redis, losing), CallSettings(timeout_seconds=20.0)).call("PING"))
    await losing.asked.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_a_limit_that_the_library_loses_is_kept() -> None:
    client = Client(cast(Redis, Losing()), CallSettings(timeout_seconds=0.001))
    with pytest.raises(StateUnavailable, match="TimeoutError"):
        await client.call("PING")


async def test_a_task_that_was_cancelled_before_can_still_call() -> None:
    class Prompt(Losing):
        async def execute_command(self, *command: Any) -> bytes:
            return b"PONG"

    async def cleaning_up() -> Any:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            return await Client(cast(Redis, Prompt()), CallSettings(1.0)).call("PING")  # noqa: B012

    task = asyncio.create_task(cleaning_up())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == b"PONG"
