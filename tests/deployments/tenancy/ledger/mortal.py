"""Gateways that die at a call of the test's choice, over a store and a ledger that outlive them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from deployments.execution.executions import Executions
from deployments.state.store import RequestStore
from deployments.telemetry.metrics import MemoryMetrics
from deployments.tenancy.account import Accounts
from deployments.tenancy.ledger.biller import Biller
from deployments.tenancy.ledger.ledger import Ledger
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.queue.local import LocalQueue
from tests.deployments.execution.works import QUEUE, SETTINGS
from tests.deployments.gateway.scripted import NOW, ScriptedPool, model


class Life:
    """What a gateway may do before it dies: so many ``steps``, of which each call has one before it takes effect and
    one behind it. At the next one it stands still.
    """

    def __init__(self, steps: float) -> None:
        self._left = steps
        self.over = asyncio.Event()

    async def step(self) -> None:
        self._left -= 1
        if self._left < 0:
            self.over.set()
            await asyncio.get_running_loop().create_future()


class Mortal:
    """The calls to ``target`` of somebody who has a ``life``."""

    def __init__(self, target: object, life: Life) -> None:
        self._target, self._life = target, life

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._target, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            await self._life.step()
            answer = await method(*arguments, **options)
            await self._life.step()
            return answer

        return call


@dataclass(slots=True)
class World:
    """What outlives a gateway; the test moves the clock."""

    store: RequestStore
    ledger: Ledger
    now: float = NOW

    @asynccontextmanager
    async def gateway(self, name: str, pool: ScriptedPool, life: Life) -> AsyncIterator[tuple[Executions, Accounts]]:
        """A gateway that limits nothing. At the end of the context all of it is gone at once, as with a process."""
        others = asyncio.all_tasks()
        store, ledger = cast(RequestStore, Mortal(self.store, life)), cast(Ledger, Mortal(self.ledger, life))
        clock, metrics = (lambda: self.now), MemoryMetrics()
        queue = LocalQueue(QUEUE, lambda: 64, clock, metrics)
        accounts = Accounts(MemoryLimiter(clock, 15.0), {QUEUE: queue}, Biller(ledger, store.settled, metrics))
        yield Executions(store, {"tiny": model(pool)}, accounts, clock, name, SETTINGS), accounts
        tasks = asyncio.all_tasks() - others
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def executions_end(others: Set[asyncio.Task[Any]] = frozenset()) -> None:
    """Wait until no request runs, apart from tasks of ``others``."""
    running = {task for task in asyncio.all_tasks() - others if task.get_name().startswith("execution of")}
    if running:
        await asyncio.wait(running)
