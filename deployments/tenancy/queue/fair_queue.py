"""Whose request goes next: a fair queue by virtual counters, charged in denoise work.

After "Fairness in Serving Large Language Models" (Sheng et al., OSDI 2024), with the charge before the turn: how much
a request of a dLLM can cost is known then. Each tenant has a counter, a turn adds ``work / weight`` to it, the end of
the request takes ``(work - spent) / weight`` back, and the tenant with the least counter goes next.

**Order.** Across tenants only the counters decide. Of one tenant's requests the interactive ones go first, then the
earliest deadline, then the first to arrive; one without a deadline is due ``PATIENCE_SECONDS`` after its arrival. Flex
requests of all tenants have a lane of their own, with counters of its own: they get turns only while no interactive
and no default request waits anywhere, so they take nothing from anybody, and what they cost is held against the flex
requests of their tenant alone. No place stays empty while something waits.

**Lifts.** The paper lifts a tenant that comes to wait to the least counter of those who wait. Here charges are upper
bounds, so counters hold much that will be refunded, and who comes would wait until it is. What is lifted is therefore
the *service*, which is the counter less the charges of requests under way: to the *level*, the least service of those
who wait (:class:`deployments.tenancy.queue.lane.Lane`). Who comes then soon has as much under way as the others.

**Bound.** Let P be the most requests that were under way at one time, and M the greatest ``work / weight``. Whenever
two tenants have requests waiting in one lane, the counter of the one is at most P * M above the service of the other.
So neither their counters nor their services are further apart; and over any time in which both wait all along, the work
per weight done for them differs by at most 2 * P * M, as in theorem 4.4 of the paper, whose bound has the greatest
batch in the place of P.

*Proof.* Write C for counters, S for services, I = C - S for charges under way and V for the level. No S falls, for an
end adds what was spent. Nor does V: who comes to wait has at least V then, and so has each of those who wait. Let f and
x wait at the time t, and let s be the last time at which C_f rose. If that was a lift, C_f was V(s) + I_f(s) then, at
most V(s) + P * M. If it was a turn that was charged with L, let z be the one of those who waited that had the least
service, which was V(s). C_f was the least counter before, so at most C_z = V(s) + I_z(s); what z had under way and the
new request were together at most P; so C_f was at most V(s) + P * M behind the turn. Since s it has only fallen, hence
C_f(t) <= V(s) + P * M <= V(t) + P * M <= S_x(t) + P * M. A request that :meth:`VirtualCounterQueue.resume` takes in is
charged without having been next; each adds its charge to the distance.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployments.errors import DeadlineExceeded, QueueFull
from deployments.tenancy.queue.fairness import Snapshot
from deployments.tenancy.queue.lane import Lane, Order

if TYPE_CHECKING:
    from deployments.tenancy.queue.queue import Waiting
    from deployments.tenancy.tenant import Band

RANKS: Mapping[Band, int] = {"interactive": 0, "default": 1, "flex": 2}
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Turns:
    """Requests that have a turn, and those that left the queue because their deadlines have come."""

    given: tuple[Waiting, ...] = ()
    late: tuple[Waiting, ...] = ()


def lane_of(request: Waiting) -> int:
    """0 for those that somebody waits for, 1 for flex requests."""
    return int(request.band == "flex")


def due(request: Waiting, arrival: float) -> float:
    """When a request wants its turn, for the order among those of its tenant."""
    return arrival + PATIENCE_SECONDS if request.deadline is None else request.deadline


def charge_of(request: Waiting) -> float:
    """What its turn is charged with."""
    return request.work / request.weight


def cost_of(request: Waiting, spent: int) -> float:
    """What is left of the charge when it has ``spent`` so much; it is never charged with more."""
    return min(max(spent, 0), request.work) / request.weight


class VirtualCounterQueue:
    """The queue of one model. It has no clock: ``now`` is in Unix seconds, and does not go back.

    A call that may free a place or fill the queue is followed by :meth:`dispatch`.
    """

    def __init__(self) -> None:
        self.lanes = (Lane(), Lane())
        self._waiting: dict[str, tuple[Waiting, Order]] = {}
        self._running: dict[str, Waiting] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._queued: Counter[str] = Counter()
        self._arrivals = 0

    @property
    def running(self) -> int:
        """Places that are taken."""
        return len(self._running)

    @property
    def waiting(self) -> Iterator[Waiting]:
        """The requests that wait, in order of arrival."""
        return (request for request, _ in self._waiting.values())

    def enter(self, request: Waiting, now: float) -> None:
        """Have ``request`` wait; one that is here already stays where it is. Raises :class:`QueueFull` and
        :class:`DeadlineExceeded`.
        """
        if request.id in self._running or request.id in self._waiting:
            return
        if request.deadline is not None and request.deadline <= now:
            raise DeadlineExceeded
        self.check(request)
        self._arrivals += 1
        order = Order(RANKS[request.band], due(request, now), self._arrivals, request.id)
        self.lanes[lane_of(request)].add(request.tenant, order, now)
        self._waiting[request.id] = request, order
        self._queued[request.tenant] += 1
        if request.deadline is not None:
            insort(self._deadlines, (request.deadline, request.id))

    def check(self, request: Waiting) -> None:
        """Raise :class:`QueueFull` when the tenant has too many waiting to let ``request`` in."""
        if request.cap is not None and self._queued[request.tenant] >= request.cap:
            raise QueueFull

    def dispatch(self, places: int, now: float) -> Turns:
        """Give turns while fewer than ``places`` requests are under way."""
        late, given = self.expire(now), []
        while len(self._running) < places and (order := self._first()) is not None:
            request = self._withdraw(order.id)
            self._running[request.id] = request
            self.lanes[lane_of(request)].serve(request.tenant, charge_of(request))
            given.append(request)
        for lane in self.lanes:
            lane.forget()
        return Turns(tuple(given), late)

    def expire(self, now: float) -> tuple[Waiting, ...]:
        """Take those out whose deadlines have come."""
        count = bisect_right(self._deadlines, now, key=lambda entry: entry[0])
        return tuple(self._withdraw(id) for _, id in self._deadlines[:count])

    def resume(self, request: Waiting) -> None:
        """Count ``request`` as under way, which has had its turn elsewhere, and charge it, if it is not here."""
        if request.id in self._running:
            return
        if request.id in self._waiting:
            self._withdraw(request.id)
        self.lanes[lane_of(request)].resume(request.tenant, charge_of(request))
        self._running[request.id] = request

    def end(self, id: str, spent: int) -> None:
        """``id`` is over: it gives back its place and what it was charged with and has not ``spent``.

        One that waits leaves the queue; one that is not here changes nothing.
        """
        if id in self._waiting:
            self._withdraw(id)
        elif id in self._running:
            request = self._running.pop(id)
            self.lanes[lane_of(request)].settle(request.tenant, charge_of(request), cost_of(request, spent))

    def leave(self, id: str) -> None:
        """``id`` is not wanted any more; if it has had its turn, it has cost nothing."""
        self.end(id, 0)

    def snapshot(self) -> Snapshot:
        """What it holds."""
        counts = Counter(request.band for request in self.waiting)
        usual, flex = self.lanes
        depth = {band: counts[band] for band in RANKS}
        return Snapshot(depth, self.running, usual.counters, (usual.backlog, flex.backlog))

    def check_integrity(self) -> None:
        """Raise unless every part tells the same."""
        for lane in self.lanes:
            lane.check_integrity()
        if self._waiting.keys() & self._running.keys():
            raise RuntimeError("a request waits and is under way")
        if self._queued != Counter(request.tenant for request in self.waiting):
            raise RuntimeError("the tenants' waiting requests are miscounted")
        due = sorted((each.deadline, each.id) for each in self.waiting if each.deadline is not None)
        if due != self._deadlines:
            raise RuntimeError("the deadlines are not those of the waiting requests")
        for number, lane in enumerate(self.lanes):
            tenants = {request.tenant for request in self.waiting if lane_of(request) == number}
            if tenants != set(lane.backlog.counters):
                raise RuntimeError("the lanes hold others than the waiting requests")

    def _first(self) -> Order | None:
        return self.lanes[0].first() or self.lanes[1].first()

    def _withdraw(self, id: str) -> Waiting:
        request, order = self._waiting.pop(id)
        self.lanes[lane_of(request)].remove(request.tenant, order)
        self._queued[request.tenant] -= 1
        if not self._queued[request.tenant]:
            del self._queued[request.tenant]
        if request.deadline is not None:
            del self._deadlines[bisect_left(self._deadlines, (request.deadline, id))]
        return request
