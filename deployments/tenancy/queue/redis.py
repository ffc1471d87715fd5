"""The fair queue that all gateways of a cluster share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import takewhile
from typing import TYPE_CHECKING

from deployments.errors import QueueFull
from deployments.state.store import StateUnavailable
from deployments.tenancy.queue import scripts
from deployments.tenancy.queue.calls import Moment, News, QueueCalls
from deployments.tenancy.queue.desk import Desk
from deployments.tenancy.queue.fairness import Fairness, Snapshot
from deployments.tenancy.queue.turns import LOOK_SECONDS, Clock, Sleep, WaitingRoom

if TYPE_CHECKING:
    from deployments.state.client import Clients
    from deployments.telemetry.metrics import Metrics
    from deployments.tenancy.queue.queue import QueueState, Waiting

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3
RENEWED_AT_ONCE = 256
RETRY_SECONDS = 1.0


class RedisQueue:
    """A :class:`deployments.tenancy.queue.queue.FairQueue` in the store; ``owner`` is this gateway's name.

    What waits or runs at a gateway that is gone leaves the queue ``lease_seconds`` after its last renewal. While the
    store does not answer, this gateway gives turns itself, on its share of the places; it enters what it has again when
    the store is back. A request has one turn, whoever gives it. While gateways come back, more requests than there are
    places may be under way: what runs is not stopped.
    """

    def __init__(
        self,
        clients: Clients,
        model: str,
        owner: str,
        places: Callable[[], int],
        clock: Clock,
        metrics: Metrics,
        lease_seconds: float,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._calls = QueueCalls(clients, model, owner, lease_seconds)
        self._model, self._places, self._clock, self._sleep = model, places, clock, sleep
        self._lease_seconds = lease_seconds
        self._room = WaitingRoom(model, clock, metrics, sleep)
        self._fairness = Fairness()
        self._running: dict[str, Waiting] = {}
        self._unsent: dict[str, tuple[float, Waiting, int]] = {}
        self._full_until: dict[str, float] = {}
        self._desk: Desk | None = None
        self._gateways, self._memory = 1, ""
        self._asked_places, self._more = 0, False
        self._renew_at = self._retry_at = 0.0

    def check(self, request: Waiting) -> None:
        if self._desk is not None:
            self._desk.check(request)
        elif self._clock() < self._full_until.get(request.tenant, 0.0):
            raise QueueFull

    async def turn(self, request: Waiting) -> None:
        self._room.open(request)
        entering = asyncio.ensure_future(self._enter(request))
        try:
            await asyncio.shield(entering)
            await self._room.wait(request)
            self._running[request.id] = request
        except BaseException:
            self._room.close(request)
            await asyncio.shield(asyncio.ensure_future(self._leave(request, entering)))
            raise
        finally:
            self._room.close(request)

    async def resume(self, request: Waiting) -> None:
        if self._desk is None:
            await self._shared(self._calls.resume(request, self._moment()))
        self._running[request.id] = request
        if self._desk is not None:
            self._desk.resume(request)

    async def end(self, request: Waiting, spent: int) -> None:
        self._running.pop(request.id, None)
        if self._desk is None and await self._shared(self._calls.end(request, spent, self._moment())):
            return
        self._end_alone(request, spent)

    async def state(self) -> QueueState:
        return self._fairness.state(await self._snapshot(), self._clock())

    async def serve(self) -> None:
        await asyncio.gather(self._look(), self._listen())

    def check_integrity(self) -> None:
        """Raise unless what waits here is known once."""
        if self._desk is not None:
            self._desk.check_integrity()
        if self._running.keys() & {request.id for request in self._room.waiting}:
            raise RuntimeError("a request waits and is under way")

    async def _snapshot(self) -> Snapshot:
        desk = self._desk
        if desk is None:
            try:
                return await self._calls.state()
            except StateUnavailable as error:
                desk = self._fall_back(error)
        return desk.snapshot()

    async def _enter(self, request: Waiting) -> None:
        if self._desk is not None:
            self._desk.enter(request)
            return
        news = await self._shared(self._calls.enter(request, self._moment()))
        if news is not None and news.word == scripts.TURN:
            self._take(News(turns=(request.id,)))
        elif news is not None and news.word == scripts.LATE:
            self._room.refuse((request.id,))
        elif news is not None and news.word == scripts.FULL:
            self._full_until[request.tenant] = self._clock() + LOOK_SECONDS
            self._room.refuse((request.id,), QueueFull)

    async def _leave(self, request: Waiting, entering: asyncio.Future[None]) -> None:
        """The store may be told only when it has answered: the calls could overtake each other."""
        await asyncio.wait({entering})
        if self._desk is None and await self._shared(self._calls.leave(request, self._moment())):
            return
        self._end_alone(request, 0)

    def _end_alone(self, request: Waiting, spent: int) -> None:
        """The store is told when it is back, unless the lease has ended by then."""
        now = self._clock()
        for id in list(takewhile(lambda id: now - self._unsent[id][0] >= self._lease_seconds, self._unsent)):
            del self._unsent[id]
        self._unsent[request.id] = now, request, spent
        if self._desk is not None:
            self._desk.end(request, spent)

    async def _shared(self, call: Awaitable[News]) -> News | None:
        """What came of a call; nothing when the store does not answer, and this gateway goes on alone."""
        try:
            news = await call
        except StateUnavailable as error:
            self._fall_back(error)
            return None
        self._take(news)
        return news

    def _take(self, news: News) -> None:
        """Tell those who wait. A turn that the store has given counts while this gateway is alone as well."""
        if self._desk is not None:
            for request in self._room.waiting:
                if request.id in news.turns:
                    self._desk.resume(request)
        self._room.give(news.turns)
        self._room.refuse(news.late)
        self._more = news.more

    def _fall_back(self, error: StateUnavailable) -> Desk:
        """Give turns to those that wait here, beside those that run here."""
        if self._desk is None:
            logger.warning("the queue of %s is this gateway's own for now: %s", self._model, error)
            self._desk = Desk(self._room, self._share, self._clock)
            self._retry_at = self._clock() + RETRY_SECONDS
            self._desk.take_over((*self._running.values(), *self._room.given), self._room.waiting)
        return self._desk

    def _share(self) -> int:
        places = self._places()
        return max(min(places, 1), places // self._gateways)

    async def _look(self) -> None:
        while True:
            now = self._clock()
            if self._desk is not None:
                self._desk.dispatch()
                if now >= self._retry_at:
                    self._retry_at = now + RETRY_SECONDS
                    await self._return()
            elif now >= self._renew_at:
                self._renew_at = now + self._lease_seconds / RENEWALS_PER_LEASE
                self._full_until = {tenant: until for tenant, until in self._full_until.items() if now < until}
                await self._renew()
                self._room.record(await self.state())
            elif self._more or (self._room.waiting and self._places() > self._asked_places):
                await self._renew_some(())
            await self._sleep(LOOK_SECONDS)

    async def _listen(self) -> None:
        while True:
            if self._desk is not None:
                await self._sleep(RETRY_SECONDS)
                continue
            try:
                self._take(await self._calls.hear())
            except StateUnavailable as error:
                self._fall_back(error)

    async def _renew(self, *, anew: bool = False) -> None:
        """Renew all leases. What the store does not know is entered ``anew`` when this gateway has been alone."""
        held = (*self._running.values(), *self._room.given, *self._room.waiting)
        memory = ""
        for start in range(0, max(1, len(held)), RENEWED_AT_ONCE):
            if self._desk is None:
                memory = await self._renew_some(held[start : start + RENEWED_AT_ONCE], anew=anew)
        self._memory = memory or self._memory

    async def _renew_some(self, held: tuple[Waiting, ...], *, anew: bool = False) -> str:
        """Renew these leases, and mend what the store knows of them; tells the store's memory if it answers."""
        try:
            renewal = await self._calls.renew([request.id for request in held], self._moment())
        except StateUnavailable as error:
            self._fall_back(error)
            return ""
        self._take(renewal.news)
        self._gateways = max(1, renewal.gateways)
        forgotten = anew or self._memory not in ("", renewal.memory)
        for request, word in zip(held, renewal.states, strict=True):
            if self._desk is None:
                await self._mend(request, word, forgotten=forgotten)
        return renewal.memory

    async def _mend(self, request: Waiting, word: str, *, forgotten: bool) -> None:
        """What waits or runs here waits or runs there; what has been given away runs here no more."""
        if request.id in self._running:
            if word == scripts.WAIT or (word == scripts.GONE and forgotten):
                await self._shared(self._calls.resume(request, self._moment()))
            elif word in (scripts.GONE, scripts.OTHER):
                self._running.pop(request.id, None)
        elif self._room.is_waiting(request.id):
            if word == scripts.TURN:
                self._take(News(turns=(request.id,)))
            elif word == scripts.GONE:
                await self._enter(request)

    async def _return(self) -> None:
        """Enter what waits and runs here into the shared queue, if the store answers."""
        try:
            await self._calls.forget_news()
        except StateUnavailable:
            return
        logger.info("the queue of %s is shared again", self._model)
        self._desk, self._renew_at = None, self._clock()
        unsent, self._unsent = self._unsent, {}
        for at, request, spent in unsent.values():
            if self._clock() - at < self._lease_seconds:
                await self._shared(self._calls.end(request, spent, self._moment()))
        await self._renew(anew=True)

    def _moment(self) -> Moment:
        self._asked_places = self._places()
        return Moment(self._clock(), self._asked_places)
