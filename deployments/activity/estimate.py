"""The activity that follows from what the engine has executed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployments.activity.source import Reading
from deployments.autoscaling.config import ActivitySource


@dataclass(frozen=True, slots=True)
class Executed:
    """All ``flops`` that were executed from the engine's start to ``at``, in seconds of a clock that only goes on."""

    flops: float
    at: float


class EstimateSource:
    """Operations of executed steps over what the device could have done in that time at its ``peak``.

    ``executed`` says how far the engine is. A step that is under way counts when it has ended, with all its time.
    """

    name: ActivitySource = "estimate"

    def __init__(self, executed: Callable[[], Executed], peak: float) -> None:
        self._executed, self._peak = executed, peak
        self._last = executed()
        self._value = 0.0

    def read(self, now: float) -> Reading | None:
        """See :meth:`Source.read`. While a step is under way it is what it was before."""
        done = self._executed()
        seconds = done.at - self._last.at
        if seconds > 0:
            self._value = (done.flops - self._last.flops) / seconds / self._peak
            self._last = done
        return Reading(self._value, now)

    def close(self) -> None:
        """It holds nothing."""
