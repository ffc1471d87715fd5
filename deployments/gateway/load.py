"""What a gateway knows of the load that its clients make: who waits in the queues, and how its answers ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from deployments.autoscaling.report import QueueReport
from deployments.gateway.ids import Clock
from deployments.gateway.shared import Shared, queue_name

if TYPE_CHECKING:
    from deployments.execution.objectives import Objectives
    from deployments.gateway.model import Model
    from deployments.tenancy.queue.queue import FairQueue, QueueState, Waiting

LOOK_SECONDS = 1.0
LATEST = 0.1
"""The part that the latest of all ended requests has in their mean."""


class CountedQueue:
    """``queue``, and what the requests cost that end in it, in position-forwards of ``work_weight`` work units each."""

    def __init__(self, queue: FairQueue, work_weight: float = 1.0) -> None:
        self._queue, self._work_weight = queue, work_weight
        self._spent: float | None = None
        self._most = 0.0

    def check(self, request: Waiting) -> None:
        self._queue.check(request)

    async def turn(self, request: Waiting) -> None:
        self._most = request.work
        await self._queue.turn(request)

    async def resume(self, request: Waiting) -> None:
        await self._queue.resume(request)

    async def end(self, request: Waiting, spent: int) -> None:
        if spent > 0:
            self._spent = spent if self._spent is None else self._spent + LATEST * (spent - self._spent)
        await self._queue.end(request, spent)

    async def state(self) -> QueueState:
        return await self._queue.state()

    async def serve(self) -> None:
        await self._queue.serve()

    @property
    def work(self) -> float:
        """Position-forwards that a request is expected to take: what the latest ones did and, until one has ended, the
        most that the last one may.
        """
        return (self._most if self._spent is None else self._spent) / self._work_weight


def counted(models: Mapping[str, Model], shared: Shared) -> tuple[Shared, Mapping[str, CountedQueue]]:
    """``shared`` with queues of ``models`` that count, and these by their names."""
    queues = {
        name: CountedQueue(shared.queues[name], model.work_weight)
        for id, model in models.items()
        for name in (queue_name(id, canvas_class) for canvas_class in model.pool.canvas_classes)
    }
    return replace(shared, queues={**shared.queues, **queues}), queues


class GatewayLoad:
    """What this gateway reports to the autoscaler, taken each ``LOOK_SECONDS``: all ``queues``, by name."""

    def __init__(
        self,
        queues: Mapping[str, CountedQueue],
        objectives: Objectives,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._queues, self._objectives = queues, objectives
        self._clock, self._sleep = clock, sleep
        self._numbers: dict[str, float] = {}

    @property
    def numbers(self) -> dict[str, float]:
        """What was found last, as :meth:`QueueReport.as_numbers` has it."""
        return self._numbers

    async def look(self) -> None:
        """Take the figures."""
        numbers: dict[str, float] = {}
        for name, queue in self._queues.items():
            met, missed = self._objectives.met(name), self._objectives.missed(name)
            waiting = sum((await queue.state()).waiting.values())
            report = QueueReport(self._clock(), waiting, waiting * queue.work, met, missed)
            numbers |= report.as_numbers(name)
        self._numbers = numbers

    async def serve(self) -> None:
        """Take them again and again, until cancelled."""
        while True:
            await self.look()
            await self._sleep(LOOK_SECONDS)
