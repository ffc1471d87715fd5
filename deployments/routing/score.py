"""What it would cost a run to go to a replica, in seconds. Pure.

``wait + bunching - locality``: the time until what lies there already is done, plus the time by which the run's
refresh work would lengthen steps that have refresh work already, less the time that cached prefixes would save.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deployments.routing.sketch import cached_pages
from deployments.routing.work import Demand


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """What one gateway takes to be true of a replica.

    ``backlog`` is in position-forwards and ``rate`` in position-forwards a second; a rate of 0 is not known. With
    places free (``full`` false) the rate says how much there was to do, not how much the replica could do.
    ``in_flight`` counts the gateway's own runs there. ``observed_at`` is when it last heard of the replica.
    """

    name: str
    backlog: float = 0.0
    rate: float = 0.0
    full: bool = False
    in_flight: int = 0
    refresh_due: tuple[int, ...] = ()
    prefixes: frozenset[int] = frozenset()
    observed_at: float | None = None

    def speed(self, reference: float) -> float:
        """Position-forwards a second. ``reference`` is the rate of a replica of this pool that has enough to do."""
        return self.rate if self.rate and (self.full or self.rate > reference) else reference

    def wait(self, reference: float) -> float:
        """Seconds until all that lies there is done."""
        return self.backlog / self.speed(reference)


def reference_rate(views: Iterable[ReplicaView]) -> float:
    """What a replica of this pool does in a second when it has enough to do: the mean of those that were measured.

    It is 1 as long as none was: then waits are no seconds, but still in order.
    """
    rates = [view.rate for view in views if view.rate]
    return sum(rates) / len(rates) if rates else 1.0


@dataclass(frozen=True, slots=True)
class Score:
    """Seconds; the least total is the best."""

    wait: float
    bunching: float
    locality: float

    @property
    def total(self) -> float:
        return self.wait + self.bunching - self.locality


def score(view: ReplicaView, demand: Demand, reference: float, *, home: bool = False) -> Score:
    """The cost of ``demand`` at ``view``.

    ``home`` is the replica to which all runs of the same affinity go: it is credited with the whole prefill, since the
    prefix that they share may be cached there without being in the sketch.
    """
    speed = view.speed(reference)
    prefill, *later = demand.refresh or (0,)
    cached = cached_pages(demand.pages, view.prefixes) * demand.page_size if view.prefixes else 0
    saved = prefill if home else min(cached, prefill)
    together = 0
    if any(view.refresh_due):
        asked = spread((prefill - saved, *later), demand.refresh_share)
        together = sum(map(min, asked, spread(view.refresh_due, demand.refresh_share)))
    return Score(view.backlog / speed, together / speed, saved / speed)


def spread(due: Sequence[int], share: int) -> list[int]:
    """How many of the positions ``due`` are computed in each step, if one takes ``share`` and hands on what is left."""
    served, left = [], 0
    for positions in due:
        left += positions
        served.append(min(left, share))
        left -= served[-1]
    return served
