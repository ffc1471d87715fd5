"""How the rate of requests moves over the time of a load test."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi
from types import MappingProxyType

from cluster.autoscaling.shapes import Shape
from loadtest.scenario.scenario import ShapeName


def _steady(passed: float) -> float:
    return 1.0


def _ramp(passed: float) -> float:
    return 0.1 + 0.9 * passed


def _spike(passed: float) -> float:
    return 1.0 if 0.45 <= passed < 0.6 else 0.2


def _diurnal(passed: float) -> float:
    return 0.15 + 0.425 * (1 - cos(4 * pi * passed))


def _surge(passed: float) -> float:
    return 1.0 if 1 / 3 <= passed < 2 / 3 else 0.1


def _soak(passed: float) -> float:
    return min(1.0, 20 * passed)


SHAPES: Mapping[ShapeName, Shape] = MappingProxyType(
    {"steady": _steady, "ramp": _ramp, "spike": _spike, "diurnal": _diurnal, "surge": _surge, "soak": _soak}
)
"""From the share of the time that has passed to the rate as a share of the peak: ``ramp`` up from a tenth, one
``spike`` of five times the rest, ``diurnal`` two days, a ``surge`` of ten times the rest for the middle third, as of a
noisy neighbour, and a ``soak`` that is level but for its start.
"""
