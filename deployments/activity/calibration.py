"""The self-test of a replica: what its sources say while its engine is full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from deployments.activity.sampler import Rung
from deployments.activity.source import Source
from deployments.autoscaling.config import ActivitySource

PEAK_SHARE = 0.25
"""Of the seconds of a calibration, for the peak of the device."""


class SelfTest(Protocol):
    """A full engine, see :class:`dllm_worker.tensor_activity.Trial`."""

    @property
    def peak(self) -> float:
        """What the device does at best, in operations per second."""

    def plateau(self, seconds: float, begin: Callable[[], None]) -> float:
        """Its tensor activity by the estimate, in so many seconds, most of which follow after ``begin`` is called."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the device does at best, in operations per second, and the ``plateaus`` by the sources that tell of it."""

    peak: float
    plateaus: Mapping[ActivitySource, float]


def calibrate(
    prepare: Callable[[float], SelfTest], counters: Sequence[Source], seconds: float, clock: Callable[[], float]
) -> Calibration:
    """Take about ``seconds`` for the peak and for the plateau, by the estimate and by each of ``counters`` that tells
    of the time of the test, and not of earlier ones. In 0 seconds only the peak is found.

    ``prepare`` takes the seconds for the peak. ``clock`` is Unix time.
    """
    test = prepare(PEAK_SHARE * seconds)
    if not seconds:
        return Calibration(test.peak, {})
    rungs = [Rung(source) for source in counters]

    def read() -> None:
        for rung in rungs:
            rung.read(clock())

    plateaus: dict[ActivitySource, float] = {"estimate": test.plateau((1 - PEAK_SHARE) * seconds, read)}
    ended = clock()
    read()
    for rung in rungs:
        if rung.reading is not None and rung.reading.at >= ended:
            plateaus[rung.source.name] = rung.reading.value
    return Calibration(test.peak, plateaus)
