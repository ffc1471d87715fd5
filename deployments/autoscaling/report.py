"""What replicas and gateways report to Ray Serve's controller: flat dictionaries of numbers, as it takes no others.

A figure that is not known is left out. ``at`` is when the figures were taken, in Unix seconds: Ray repeats the last
ones of a replica that runs, however old they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

QUEUE = "queue/"

SOURCES = ("none", "estimate", "dcgm", "gpm")
"""Of the tensor activity; in a report a source is its place here."""


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """A replica's. ``activity`` is its tensor activity, ``load`` the same as a share of the plateau.

    ``refresh`` and ``positions`` are the position-forwards of the refresh phase and of all, since the start.
    """

    at: float
    running: int
    waiting: int
    backlog: float
    rate: float
    refresh: float
    positions: float
    source: str = "none"
    activity: float | None = None
    load: float | None = None

    def as_numbers(self) -> dict[str, float]:
        """What ``record_autoscaling_stats`` returns."""
        numbers = asdict(self) | {"source": SOURCES.index(self.source)}
        return {name: float(value) for name, value in numbers.items() if value is not None}

    @classmethod
    def of(cls, numbers: Mapping[str, float]) -> Self:
        """The inverse of :meth:`as_numbers`. Raises ``KeyError`` or ``TypeError`` for numbers of something else."""
        known = {field.name: numbers[field.name] for field in fields(cls) if field.name in numbers}
        source = SOURCES[int(known.pop("source"))]
        running, waiting = int(known.pop("running")), int(known.pop("waiting"))
        return cls(running=running, waiting=waiting, source=source, **known)


@dataclass(frozen=True, slots=True)
class QueueReport:
    """A gateway's of one queue, which all gateways share: ``waiting`` requests, and the position-forwards that they
    are expected to take. Of the answers that ended at this gateway since its start ``met`` met the objective and
    ``missed`` did not.
    """

    at: float
    waiting: int
    backlog: float
    met: float
    missed: float

    def as_numbers(self, queue: str) -> dict[str, float]:
        """Its part of what ``record_autoscaling_stats`` returns."""
        return {f"{QUEUE}{queue}/{name}": float(value) for name, value in asdict(self).items()}

    @classmethod
    def all_of(cls, numbers: Mapping[str, float]) -> dict[str, Self]:
        """The reports in what a gateway returned, by queue."""
        by_queue: dict[str, dict[str, float]] = {}
        for path, value in numbers.items():
            queue, _, name = path.removeprefix(QUEUE).rpartition("/")
            if path.startswith(QUEUE):
                by_queue.setdefault(queue, {})[name] = value
        return {queue: cls(**{**given, "waiting": int(given["waiting"])}) for queue, given in by_queue.items()}  # type: ignore[arg-type]
