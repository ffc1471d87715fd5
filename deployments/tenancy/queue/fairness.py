"""How fair the turns have been."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployments.tenancy.queue.queue import QueueState

if TYPE_CHECKING:
    from deployments.tenancy.tenant import Band

WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlogged tenants of one lane: their counters, what their ended requests have cost per weight, and since
    when each of them has been backlogged.
    """

    counters: Mapping[str, float]
    services: Mapping[str, float]
    since: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a queue holds: the ``counters`` of all tenants in the usual lane, and who waits in that one and for flex."""

    waiting: Mapping[Band, int]
    running: int
    counters: Mapping[str, float]
    lanes: tuple[Backlog, Backlog]


def jain_index(services: Iterable[float]) -> float:
    """Jain's index of what each has had: 1 when all have had the same, 1/n when one of n has had everything."""
    shares = list(services)
    squares = len(shares) * sum(share * share for share in shares)
    return sum(shares) ** 2 / squares if squares else 1.0


def max_lag(counters: Iterable[float]) -> float:
    """How far two of the counters are apart."""
    values = list(counters)
    return max(values) - min(values) if values else 0.0


@dataclass(slots=True)
class FairnessWindow:
    """What backlogged tenants have had per weight within the last one to two ``WINDOW_SECONDS``.

    While a tenant is backlogged, its service rises by what its requests cost, and by nothing else. Only those count
    that have been backlogged all the time.
    """

    _older: tuple[float, Mapping[str, float]] = (0.0, {})
    _newer: tuple[float, Mapping[str, float]] | None = None

    def observe(self, backlog: Backlog, now: float) -> float:
        """Jain's index at ``now``."""
        current = now, dict(backlog.services)
        if self._newer is None:
            self._older = self._newer = current
        at, before = self._older
        services = [
            service - before[tenant]
            for tenant, service in backlog.services.items()
            if tenant in before and backlog.since[tenant] <= at
        ]
        if now - self._newer[0] >= WINDOW_SECONDS:
            self._older, self._newer = self._newer, current
        return jain_index(services)


class Fairness:
    """Looks at the same queue again and again."""

    def __init__(self) -> None:
        self._windows = (FairnessWindow(), FairnessWindow())

    def state(self, held: Snapshot, now: float) -> QueueState:
        """What the queue holds, and how fair it has been; the worse of the two lanes."""
        indices = [window.observe(lane, now) for window, lane in zip(self._windows, held.lanes, strict=True)]
        lags = [max_lag(lane.counters.values()) for lane in held.lanes]
        return QueueState(held.waiting, held.running, held.counters, min(indices), max(lags))
