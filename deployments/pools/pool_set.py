"""All pools of a model as one: each run goes to a pool that serves the canvases that are left of it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

from deployments.config import Phase, PoolConfig
from deployments.errors import NoReplica
from deployments.pools.pool import EVERY_CANVAS, Forecast, Runner
from deployments.pools.retries import RetryBudget
from deployments.run import Progress, Run
from dllm_worker.canvas import canvas_end, first_start, grid_length, last_start
from dllm_worker.forecast import AHEAD, reached, refresh_ahead
from dllm_worker.request import Request
from dllm_worker.spec import ModelSpec

TOKENS_PER_STEP = 2.0
"""Positions that a step settles, where only the kind of the work matters and not its amount."""

AHEAD_SHARE = 8
"""One request for so many that are denoised together waits at its replica."""


class OnePool(Runner, Protocol):
    """A pool whose replicas are alike."""

    @property
    def replicas(self) -> int:
        """How many take new runs."""

    @property
    def asleep(self) -> bool:
        """Whether it has no replica because it may have none, and gets one when a request waits."""

    def offers(self, replica: str) -> bool:
        """Whether ``replica`` is one of the pool's and takes new runs."""


def class_of(config: PoolConfig) -> str:
    """The name of the sizes that a pool denoises."""
    sizes = config.canvas
    return EVERY_CANVAS if sizes is None else f"{sizes.least}-{sizes.most}"


@dataclass(frozen=True, slots=True)
class Member:
    """A pool of the set, and what it is for."""

    config: PoolConfig
    pool: OnePool
    retries: RetryBudget

    @staticmethod
    def of(config: PoolConfig, pool: OnePool) -> Member:
        return Member(config, pool, RetryBudget(config.max_running + config.max_waiting))

    def serves(self, canvas: int) -> bool:
        """Whether the pool denoises canvases of that length."""
        sizes = self.config.sizes
        return sizes.least <= canvas <= sizes.most

    @property
    def canvas_class(self) -> str:
        """The name of the sizes that the pool denoises."""
        return class_of(self.config)

    @property
    def places(self) -> int:
        """How many requests the pool denoises together, and some that wait next to them, so that no place is empty
        while the next request is on its way and a pool that can grow is seen to be full. While it is asleep there are
        none: what comes waits in the queue, which keeps its deadline, until a replica has started.
        """
        if self.pool.asleep:
            return 0
        return max(1, self.pool.replicas) * (self.config.max_running + max(1, self.config.max_running // AHEAD_SHARE))

    def wait(self, request: Request) -> float:
        """Seconds that ``request`` would wait here, as far as that is known: for ever in a pool that is asleep."""
        if self.pool.asleep:
            return math.inf
        predicted = self.pool.forecast(request)
        return 0.0 if predicted is None else predicted.wait


class PoolSet:
    """The pools of one model, as :class:`deployments.pools.pool.Pool`.

    Among the pools that serve the longest canvas that is left, the one with the shortest canvases is preferred, then
    the one of the request's phase; but not where a run would wait ``steal_seconds`` longer than in another. The last
    canvas of an answer is cut, so it may belong into a pool of shorter canvases: the run is parked before it.
    """

    def __init__(
        self,
        spec: ModelSpec,
        members: Sequence[Member],
        steal_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._spec, self._members, self._steal_seconds = spec, tuple(members), steal_seconds
        self._clock, self._sleep = clock, sleep

    async def generate(self, run: Run) -> AsyncGenerator[Progress]:
        """As :meth:`deployments.pools.pool.Pool.generate`. A run that repeats a lost one may have to wait first."""
        member = self.choose(run.request, run.committed)
        if not run.avoid:
            member.retries.began()
        elif delay := member.retries.repeat(self._clock()):
            await self._sleep(delay)
        planned = replace(run, park_after=self.planned_move(run, member))
        async with aclosing(member.pool.generate(planned)) as messages:
            async for progress in messages:
                yield progress

    def should_move(self, run: Run, replica: str, *, boundary: bool) -> bool:
        """As :meth:`deployments.pools.pool.Pool.should_move`."""
        home = next((member for member in self._members if member.pool.offers(replica)), None)
        if home is None or home.pool.should_move(run, replica, boundary=boundary):
            return True
        if not boundary or len(self._members) == 1:
            return False
        waits = [member.wait(run.request) for member in self._serving(run.request, run.committed)]
        return bool(waits) and min(waits) + self._steal_seconds < home.wait(run.request)

    def forecast(self, request: Request) -> Forecast | None:
        """That of the pool where ``request`` would begin."""
        return self.choose(request, 0).pool.forecast(request)

    @property
    def canvas_classes(self) -> tuple[str, ...]:
        """As :attr:`deployments.pools.pool.Pool.canvas_classes`."""
        return tuple(dict.fromkeys(member.canvas_class for member in self._members))

    def canvas_class(self, request: Request) -> str:
        """That of the pool with the shortest canvases that serves the longest one of ``request``."""
        serving = self._serving(request, 0)
        if not serving:
            raise NoReplica("No pool of this model serves a canvas of this length.")
        return serving[0].canvas_class

    def places(self, canvas_class: str) -> int:
        """As :meth:`deployments.pools.pool.Pool.places`. Before a pool says how many replicas it has, and while it has
        lost them all, it counts as one: what has its turn then waits for a replica, and no longer in the queue.
        """
        return sum(member.places for member in self._members if member.canvas_class == canvas_class)

    async def ready(self) -> bool:
        """Whether a replica of some pool answers."""
        return any(await asyncio.gather(*(member.pool.ready() for member in self._members)))

    def choose(self, request: Request, committed: int) -> Member:
        """Where ``request`` had best go on with ``committed`` tokens of its answer. Raises :class:`NoReplica`."""
        serving = self._serving(request, committed)
        if not serving:
            raise NoReplica("No pool of this model serves a canvas of this length.")
        if len(serving) == 1:
            return serving[0]
        waits = [member.wait(request) for member in serving]
        bearable = min(waits) + self._steal_seconds
        return next(member for member, wait in zip(serving, waits, strict=True) if wait <= bearable)

    def planned_move(self, run: Run, member: Member) -> int | None:
        """After how many tokens of its answer ``run`` leaves ``member`` for a pool of shorter canvases."""
        request = run.request
        begins = last_start(request, self._spec) - len(request.prompt)
        if begins <= run.committed:
            return None
        last = longest_canvas_left(request, self._spec, begins)
        shorter = (other for other in self._members if other.config.sizes.most < member.config.sizes.most)
        return begins if any(other.serves(last) for other in shorter) else None

    def _serving(self, request: Request, committed: int) -> list[Member]:
        """The pools that serve what is left, the best first."""
        canvas = longest_canvas_left(request, self._spec, committed)
        phase = nearest_phase(request, self._spec, committed)
        serving = [member for member in self._members if member.serves(canvas)]
        return sorted(serving, key=lambda member: (member.config.sizes.most, member.config.phase not in (None, phase)))


def longest_canvas_left(request: Request, spec: ModelSpec, committed: int) -> int:
    """Positions of the longest canvas that does not lie behind ``committed`` tokens of the answer."""
    first, last = first_start(request, spec), last_start(request, spec)
    if request.template is None and len(request.prompt) + committed < last:
        return grid_length(request, spec)
    return canvas_end(request, spec, max(first, last)) - max(first, last)


def nearest_phase(request: Request, spec: ModelSpec, committed: int) -> Phase:
    """Which phase most of the positions of the next steps are of."""
    at = reached(request, spec, committed)
    canvas = canvas_end(request, spec, at.start) - at.start
    refresh = sum(refresh_ahead(request, spec, at, TOKENS_PER_STEP))
    return "refresh" if refresh > AHEAD * canvas else "reuse"
