"""Which of the sources counts, and what it says of the load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployments.activity.source import Reading
from deployments.autoscaling.config import ActivitySource

COUNTERS: tuple[ActivitySource, ...] = ("gpm", "dcgm")
"""Sources that are counted by the hardware."""

IDLE = 0.01
"""Below this activity a counter and the estimate are not compared."""


@dataclass(frozen=True, slots=True)
class TensorActivity:
    """A replica's, by one ``source``, at the time ``at`` in Unix seconds.

    ``activity`` is a share of the device's peak and ``load`` of the model's plateau on it, which may be exceeded a
    little. ``agreement`` is the estimate over a hardware counter, where there are both and the device is not idle.
    """

    source: ActivitySource
    activity: float
    load: float
    agreement: float | None
    at: float


def choose(
    readings: Mapping[ActivitySource, Reading],
    order: Sequence[ActivitySource],
    plateaus: Mapping[ActivitySource, float],
    oldest: float,
) -> TensorActivity | None:
    """By the first source in ``order`` whose reading is not older than ``oldest``.

    The plateau of a counter that was not read in the self-test is the other counter's, or else the estimate's.
    """
    fresh = {name: reading for name, reading in readings.items() if reading.at >= oldest}
    source = next((name for name in order if name in fresh), None)
    if source is None:
        return None
    value = fresh[source].value
    known = [plateaus[name] for name in (source, *COUNTERS, "estimate") if plateaus.get(name)]
    return TensorActivity(source, value, value / known[0] if known else value, _agreement(fresh), fresh[source].at)


def _agreement(fresh: Mapping[ActivitySource, Reading]) -> float | None:
    counter = next((fresh[name].value for name in COUNTERS if name in fresh), 0.0)
    return fresh["estimate"].value / counter if "estimate" in fresh and counter >= IDLE else None
