"""What a replica says of itself: its engine's load in round numbers, how fast it works, and what the size of its pool
is decided by.
"""

from __future__ import annotations

import math

from deployments.activity.ladder import TensorActivity
from deployments.autoscaling.report import ReplicaReport
from deployments.routing.sketch import sketch
from deployments.routing.stats import quantised
from deployments.run import Figures
from dllm_worker.interface import EngineLoad, EngineStats
from dllm_worker.scheduling.planner import StepKind

MEMORY_SECONDS = 5.0
"""Seconds of work after which a step counts in the rate by no more than a third of what it did."""


class Rate:
    """Position-forwards per second of the time in which there was work, the latest steps counting most."""

    def __init__(self) -> None:
        self._work = self._seconds = 0.0

    def count(self, positions: int, seconds: float) -> None:
        """Enter a step of ``positions`` position-forwards."""
        kept = math.exp(-seconds / MEMORY_SECONDS)
        self._work = kept * self._work + positions
        self._seconds = kept * self._seconds + seconds

    @property
    def value(self) -> float:
        """0 before the first step."""
        return self._work / self._seconds if self._seconds else 0.0


def figures_of(load: EngineLoad, rate: float) -> Figures:
    """``load`` and ``rate`` in round numbers."""
    prefixes = sketch(load.prefixes)
    return quantised(Figures(load.free_places, load.backlog, rate, load.refresh_due, prefixes))


def report_of(stats: EngineStats, figures: Figures, activity: TensorActivity | None, at: float) -> ReplicaReport:
    """What the controller hears, of the time ``at`` in Unix seconds."""
    return ReplicaReport(
        at=at,
        running=stats.running,
        waiting=stats.waiting,
        backlog=figures.backlog,
        rate=figures.rate,
        refresh=stats.position_forwards - stats.kinds[StepKind.REUSE],
        positions=stats.position_forwards,
        source="none" if activity is None else activity.source,
        activity=None if activity is None else activity.activity,
        load=None if activity is None else activity.load,
    )
