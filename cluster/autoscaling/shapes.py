"""How demand changes with time, and the requests that it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import cos, pi
from random import Random
from types import MappingProxyType

Shape = Callable[[float], float]
"""From the share of the time that has passed to the demand as a share of the peak, each between 0 and 1."""


def _step(passed: float) -> float:
    return 1.0 if 1 / 6 <= passed < 1 / 2 else 0.15


def _ramp(passed: float) -> float:
    return 0.1 + 0.9 * (1 - abs(2 * passed - 1))


def _diurnal(passed: float) -> float:
    return 0.1 + 0.45 * (1 - cos(4 * pi * passed))


def _flapping(passed: float) -> float:
    return 0.9 if int(passed * 30) % 2 else 0.3


def _spike(passed: float) -> float:
    return 1.0 if 0.4 <= passed < 0.45 else 0.1


def _bursts(passed: float) -> float:
    return 0.5 if 0.1 <= passed < 0.2 or 0.6 <= passed < 0.7 else 0.0


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {"step": _step, "ramp": _ramp, "diurnal": _diurnal, "flapping": _flapping, "spike": _spike, "bursts": _bursts}
)
"""``step`` up and down once, ``ramp`` up and down, ``diurnal`` two days, ``flapping`` between two levels, one short
``spike``, and two ``bursts`` with nothing between them.
"""


def arrivals(shape: Shape, peak: float, seconds: float, random: Random) -> Iterator[float]:
    """The moments of a Poisson process of ``peak`` times ``shape`` a second."""
    at = random.expovariate(peak)
    while at < seconds:
        if random.random() < shape(at / seconds):
            yield at
        at += random.expovariate(peak)
