"""The fair queue of one process: the twin of the shared one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from deployments.tenancy.queue.desk import Desk
from deployments.tenancy.queue.fairness import Fairness
from deployments.tenancy.queue.turns import LOOK_SECONDS, Clock, Sleep, WaitingRoom

if TYPE_CHECKING:
    from deployments.telemetry.metrics import Metrics
    from deployments.tenancy.queue.queue import QueueState, Waiting


class LocalQueue:
    """A :class:`deployments.tenancy.queue.queue.FairQueue` whose gateway is the only one."""

    def __init__(
        self,
        model: str,
        places: Callable[[], int],
        clock: Clock,
        metrics: Metrics,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._room = WaitingRoom(model, clock, metrics, sleep)
        self._desk = Desk(self._room, places, clock)
        self._fairness = Fairness()

    def check(self, request: Waiting) -> None:
        self._desk.check(request)

    async def turn(self, request: Waiting) -> None:
        self._room.open(request)
        try:
            self._desk.enter(request)
            await self._room.wait(request)
        except BaseException:
            self._desk.leave(request)
            raise
        finally:
            self._room.close(request)

    async def resume(self, request: Waiting) -> None:
        self._desk.resume(request)

    async def end(self, request: Waiting, spent: int) -> None:
        self._desk.end(request, spent)

    async def state(self) -> QueueState:
        return self._fairness.state(self._desk.snapshot(), self._clock())

    async def serve(self) -> None:
        while True:
            self._desk.dispatch()
            self._room.record(await self.state())
            await self._sleep(LOOK_SECONDS)

    def check_integrity(self) -> None:
        """Raise unless the queue is whole."""
        self._desk.check_integrity()
