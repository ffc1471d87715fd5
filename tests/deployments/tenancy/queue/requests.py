"""Requests and clocks for tests of the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

from deployments.tenancy.queue.queue import Waiting

_numbers = count()


def waiting(tenant: str = "acme", work: int = 8, **changes: Any) -> Waiting:
    """A request that no other one is named like."""
    return Waiting(id=changes.pop("id", f"req-{next(_numbers)}"), tenant=tenant, work=work, **changes)


class Time:
    """Virtual time: it passes when a test says so, and wakes those who sleep."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, woken))
        try:
            await woken
        finally:
            self._sleepers = [(at, other) for at, other in self._sleepers if other is not woken]

    def pass_by(self, seconds: float) -> None:
        """Let that much time pass."""
        self.now += seconds
        for at, woken in self._sleepers:
            if at <= self.now and not woken.done():
                woken.set_result(None)

    async def run_until(self, holds: Callable[[], object], sleepers: int = 1) -> None:
        """Pass from one waking to the next, while so many sleep, until it holds."""
        async with asyncio.timeout(60):
            while not holds():
                if len(self._sleepers) >= sleepers:
                    self.pass_by(min(at for at, _ in self._sleepers) - self.now)
                await settle()


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)
