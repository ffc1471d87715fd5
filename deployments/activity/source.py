"""Where the tensor activity of a replica's device can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from deployments.autoscaling.config import ActivitySource


@dataclass(frozen=True, slots=True)
class Reading:
    """The share ``value`` of its peak that the device worked at, on average up to ``at``, in Unix seconds."""

    value: float
    at: float


class Unavailable(Exception):
    """There is no such source here, and there will be none."""


class Source(Protocol):
    """One way to read it; used by one thread at a time."""

    @property
    def name(self) -> ActivitySource:
        """As the configuration calls it."""

    def read(self, now: float) -> Reading | None:
        """The activity since the last reading; ``None`` where that cannot be told, as for the first one.

        ``now`` is in Unix seconds. Raises what goes wrong on the way.
        """

    def close(self) -> None:
        """Give back what it holds."""
