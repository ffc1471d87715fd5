"""All requests of a scenario, and the part of them that each process asks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from loadtest.arrivals.arrival import Arrival
from loadtest.arrivals.draw import replayed, synthetic
from loadtest.scenario.scenario import Scenario
from loadtest.traces.reading import trace_rows


def schedule(scenario: Scenario, folder: Path) -> list[Arrival]:
    """The requests in order of their intended starts; a trace is looked for in ``folder``. Raises
    :class:`loadtest.traces.row.TraceError`.
    """
    if scenario.trace is None:
        return synthetic(scenario)
    return replayed(scenario, trace_rows(folder / scenario.trace.file, scenario.trace.format))


def part(arrivals: Sequence[Arrival], index: int, count: int) -> list[Arrival]:
    """What the process ``index`` of ``count`` asks. The parts are disjoint, and all of them together are everything."""
    return [arrival for arrival in arrivals if arrival.number % count == index]


def digest(arrivals: Sequence[Arrival]) -> str:
    """The same for two processes that have the same requests before them."""
    return hashlib.sha256("\n".join(map(repr, arrivals)).encode()).hexdigest()
