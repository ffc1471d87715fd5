"""Which rows the next forward pass holds, and who runs at all. Pure: everything it knows is in its arguments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class StepKind(StrEnum):
    """What rows are computed for. All kinds but ``REUSE`` are of the refresh phase."""

    PREFILL = "prefill"
    REFRESH = "refresh"
    REUSE = "reuse"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Demand:
    """What one request needs next: up to ``positions`` rows in one pass.

    It takes all of them, or a smaller piece of ``first + n * grain`` rows, ``n >= 0``; with a ``grain`` of 0 it takes
    all or none. ``waited_since`` is the number of the step that served it last, so smaller means longer ago. Larger
    ``priority`` goes first, then the earlier ``deadline``.
    """

    request_id: str
    kind: StepKind
    positions: int
    first: int
    grain: int
    waited_since: int
    priority: int = 0
    deadline: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.positions or self.grain < 0:
            raise ValueError(f"no rows can be cut from first={self.first} of {self.positions} by {self.grain}")

    @property
    def smallest(self) -> int:
        """Rows of its smallest useful piece."""
        return self.first if self.grain else self.positions

    def largest(self, limit: int) -> int:
        """Rows of its largest piece within ``limit``; 0 when there is none."""
        if self.positions <= limit:
            return self.positions
        if limit < self.smallest:
            return 0
        return self.first + (limit - self.first) // self.grain * self.grain


@dataclass(frozen=True, slots=True)
class StepBudget:
    """Position-forwards of one pass, and how many of them the refresh phase may have beside reuse demands.

    ``refresh_positions`` of ``None`` is a quarter of ``positions``. A piece that is larger and cannot be cut smaller is
    served all the same, as the only one of its phase in the pass. Without reuse demands the whole pass is free to it.
    """

    positions: int = 1024
    refresh_positions: int | None = None

    @property
    def refresh_share(self) -> int:
        return self.positions // 4 if self.refresh_positions is None else self.refresh_positions


@dataclass(frozen=True, slots=True)
class PlannedRows:
    """One request's share of a step."""

    request_id: str
    kind: StepKind
    positions: int


def plan(demands: Iterable[Demand], budget: StepBudget) -> tuple[PlannedRows, ...]:
    """Fill a pass, in the order of priority, reuse before refresh phase, deadline, longest wait, and the order given.

    What does not fit is passed over, never waited for. Refresh-phase rows end at their share, so refreshes that fall
    due together are spread over steps, and their requests stay apart afterwards.

    The demand that waited longest (among equals the first in order) gets its smallest piece whatever its priority,
    kind and size; only then may a pass exceed the budget, and it holds nothing else. So a request is served at the
    latest after as many steps as there were demands when it joined or was last served, however many join behind it:
    nobody starves, and each step gives at most one piece out of the order of priority. A request has one demand.
    """
    ordered = sorted(demands, key=_precedence)
    if not ordered:
        return ()
    longest = min(ordered, key=lambda demand: demand.waited_since)
    taken = {longest.request_id: longest.smallest}
    room = budget.positions - longest.smallest
    gathered = 0 if longest.kind is StepKind.REUSE else longest.smallest
    share = budget.refresh_share if any(demand.kind is StepKind.REUSE for demand in ordered) else budget.positions
    for demand in ordered:
        limit = room
        if demand.kind is not StepKind.REUSE:
            limit = min(room, max(share - gathered, 0 if gathered else demand.smallest))
        held = taken.get(demand.request_id, 0)
        more = demand.largest(held + limit) - held
        if more <= 0:
            continue
        taken[demand.request_id] = held + more
        room -= more
        gathered += 0 if demand.kind is StepKind.REUSE else more
    return tuple(
        PlannedRows(demand.request_id, demand.kind, taken[demand.request_id])
        for demand in ordered
        if demand.request_id in taken
    )


def _precedence(demand: Demand) -> tuple[int, bool, float, int]:
    return -demand.priority, demand.kind is not StepKind.REUSE, _due(demand.deadline), demand.waited_since


def _due(deadline: float | None) -> float:
    return math.inf if deadline is None else deadline


@dataclass(frozen=True, slots=True)
class Occupant:
    """A running request: the cache pages that parking it would free, and the number of the step at which it joined."""

    request_id: str
    priority: int
    deadline: float | None
    pages: int
    admitted: int


@dataclass(frozen=True, slots=True)
class Waiter:
    """A request that wants a place and ``pages`` of cache; smaller ``arrived`` means earlier."""

    request_id: str
    priority: int
    deadline: float | None
    pages: int
    arrived: int


def admission_order(waiting: Iterable[Waiter]) -> list[Waiter]:
    """Larger priority first, then the earlier deadline (none is last), then the earlier arrival."""
    return sorted(waiting, key=lambda waiter: (-waiter.priority, _due(waiter.deadline), waiter.arrived))


def preempt(waiter: Waiter, running: Iterable[Occupant], free_places: int, free_pages: int) -> tuple[str, ...]:
    """The running requests to park so that ``waiter`` fits; none when it fits already or cannot be made to fit.

    Only strictly lower priorities are parked, as few requests as possible, and among choices of that size those of
    the lowest priority, then of the latest deadline, then the youngest.
    """
    pages = waiter.pages - free_pages
    if free_places > 0 and pages <= 0:
        return ()
    candidates = sorted(
        (occupant for occupant in running if occupant.priority < waiter.priority),
        key=lambda occupant: (occupant.priority, -_due(occupant.deadline), -occupant.admitted),
    )
    counts = range(1, len(candidates) + 1)
    fewest = next((count for count in counts if _most_pages(candidates, count) >= pages), 0)
    parked: list[str] = []
    for i, occupant in enumerate(candidates):
        missing = fewest - len(parked)
        if missing and occupant.pages + _most_pages(candidates[i + 1 :], missing - 1) >= pages:
            parked.append(occupant.request_id)
            pages -= occupant.pages
    return tuple(parked)


def _most_pages(occupants: Sequence[Occupant], count: int) -> int:
    """Pages that parking the ``count`` largest frees."""
    return sum(sorted((occupant.pages for occupant in occupants), reverse=True)[:count])
