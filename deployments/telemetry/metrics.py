"""The seam between what is measured and who collects it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its Prometheus name, and what it means. A histogram has the upper bounds of its ``buckets``."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Metrics(Protocol):
    """Takes measurements; each names all labels of its metric."""

    def record(self, metric: Metric, value: float, *, trace_id: str = "", **labels: str) -> None:
        """Add ``value`` to a counter, set a gauge to it, or observe it in a histogram.

        ``trace_id`` (32 hex digits) names the recorded trace of which the value is an example.
        """


class MemoryMetrics:
    """Keeps what was recorded, by name and label values in the metric's order; the twin that tests read."""

    def __init__(self) -> None:
        self.values: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)

    def record(self, metric: Metric, value: float, *, trace_id: str = "", **labels: str) -> None:
        self.values[metric.name, *(labels[name] for name in metric.labels)].append(value)

    def last(self, metric: Metric, *labels: str) -> float:
        """The newest value of a gauge."""
        return self.values[metric.name, *labels][-1]

    def total(self, metric: Metric, *labels: str) -> float:
        """The sum of what was added to a counter, or observed."""
        return sum(self.values[metric.name, *labels])
