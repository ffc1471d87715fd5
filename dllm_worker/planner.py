"""Which rows the next forward pass holds. Pure: everything it knows is in its arguments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class StepKind(StrEnum):
    """What rows are computed for."""

    PREFILL = "prefill"
    REUSE = "reuse"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Demand:
    """What one request needs next: ``positions`` rows, which a prefill may take in pieces of ``grain``.

    ``waited_since`` is the number of the step that served it last, so smaller means longer ago.
    """

    request_id: str
    kind: StepKind
    positions: int
    grain: int
    waited_since: int


@dataclass(frozen=True, slots=True)
class PlannedRows:
    """One request's share of a step."""

    request_id: str
    kind: StepKind
    positions: int


def plan(demands: Iterable[Demand], budget: int) -> tuple[PlannedRows, ...]:
    """Fill ``budget`` position-forwards: reuse rows of running canvases first, then commits and prefill chunks.

    Those who waited longest come first; one that does not fit is passed over, not waited for. The first is served
    even when it alone exceeds the budget, so every step makes progress and nobody starves.
    """
    ordered = sorted(demands, key=lambda demand: (demand.kind is not StepKind.REUSE, demand.waited_since))
    starved = min(ordered, key=lambda demand: demand.waited_since, default=None)
    if starved is not None:
        ordered.remove(starved)
        ordered.insert(0, starved)
    rows: list[PlannedRows] = []
    for demand in ordered:
        positions = _share(demand, budget, first=not rows)
        if positions:
            rows.append(PlannedRows(demand.request_id, demand.kind, positions))
            budget -= positions
    return tuple(rows)


def _share(demand: Demand, budget: int, *, first: bool) -> int:
    """Positions that the budget allows: all, whole grains of a prefill, or none."""
    if demand.positions <= budget:
        return demand.positions
    if demand.kind is StepKind.PREFILL:
        return max(max(0, budget) // demand.grain * demand.grain, demand.grain if first else 0)
    return demand.positions if first else 0
