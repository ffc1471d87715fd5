"""The requests of this gateway that wait for their turns, and what they are told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployments.errors import DeadlineExceeded, ServingError
from deployments.telemetry import names
from deployments.tenancy.queue.fair_queue import RANKS

if TYPE_CHECKING:
    from deployments.telemetry.metrics import Metrics
    from deployments.tenancy.queue.queue import QueueState, Waiting

LOOK_SECONDS = 0.25
"""After so many seconds at most, a place that has come up from nowhere is taken."""

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Ticket:
    request: Waiting
    entered: float
    verdict: asyncio.Future[ServingError | None]


class WaitingRoom:
    """Each request in here is told once: that it has its turn, or why not.

    ``queue`` is a :func:`deployments.gateway.shared.queue_name`.
    """

    def __init__(self, queue: str, clock: Clock, metrics: Metrics, sleep: Sleep = asyncio.sleep) -> None:
        self._labels = {"model": queue.rpartition(":")[0] or queue, "queue": queue}
        self._clock, self._metrics, self._sleep = clock, metrics, sleep
        self._tickets: dict[str, _Ticket] = {}

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """Those that have been told nothing, in order of arrival."""
        return tuple(ticket.request for ticket in self._tickets.values() if not ticket.verdict.done())

    @property
    def given(self) -> tuple[Waiting, ...]:
        """Those that have their turns and have not left yet."""
        done = (ticket for ticket in self._tickets.values() if ticket.verdict.done())
        return tuple(ticket.request for ticket in done if ticket.verdict.result() is None)

    def is_waiting(self, id: str) -> bool:
        """Whether ``id`` is in here and has been told nothing."""
        return id in self._tickets and not self._tickets[id].verdict.done()

    def open(self, request: Waiting) -> None:
        """Let ``request`` in."""
        verdict: asyncio.Future[ServingError | None] = asyncio.get_running_loop().create_future()
        self._tickets[request.id] = _Ticket(request, self._clock(), verdict)

    def close(self, request: Waiting) -> None:
        """``request`` is not in here any more."""
        self._tickets.pop(request.id, None)

    def give(self, ids: Iterable[str]) -> None:
        """These have their turns. Whoever is not in here is passed over."""
        for id in ids:
            ticket = self._decide(id, None)
            if ticket is not None:
                wait = self._clock() - ticket.entered
                self._metrics.record(names.QUEUE_WAIT, wait, **self._labels, band=ticket.request.band)

    def refuse(self, ids: Iterable[str], error: type[ServingError] = DeadlineExceeded) -> None:
        """These will have no turns."""
        for id in ids:
            self._decide(id, error())

    async def wait(self, request: Waiting) -> None:
        """Return when ``request`` has its turn; raises what it is refused with, :class:`DeadlineExceeded` in time."""
        verdict = self._tickets[request.id].verdict
        if request.deadline is not None and not verdict.done():
            timer = asyncio.ensure_future(self._sleep(max(0.0, request.deadline - self._clock())))
            either: set[asyncio.Future[Any]] = {verdict, timer}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
            self.refuse((request.id,))
        error = await verdict
        if error is not None:
            raise error

    def record(self, state: QueueState) -> None:
        """Measure how many wait here, and how fair ``state`` is."""
        depth = Counter(request.band for request in self.waiting)
        for band in RANKS:
            self._metrics.record(names.QUEUE_DEPTH, depth[band], **self._labels, band=band)
        self._metrics.record(names.FAIRNESS_MAX_LAG, state.max_lag, **self._labels)
        self._metrics.record(names.FAIRNESS_JAIN, state.jain, **self._labels)

    def _decide(self, id: str, error: ServingError | None) -> _Ticket | None:
        """The ticket of ``id`` if it had not been told anything before."""
        if not self.is_waiting(id):
            return None
        ticket = self._tickets[id]
        ticket.verdict.set_result(error)
        return ticket
