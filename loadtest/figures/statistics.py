"""The mathematics of the figures."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, nan, sqrt

Z = 1.959963984540054
"""The quantile of the normal distribution for intervals of 95 %."""


def percentile(values: Iterable[float], share: float) -> float:
    """The least of ``values`` that at least ``share`` of them do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else nan


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The Wilson score interval of 95 % for the probability behind ``successes`` of ``trials``.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927. Of no trials nothing is
    known: (0, 1).
    """
    if not trials:
        return 0.0, 1.0
    share, square = successes / trials, Z * Z
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = Z / (1 + square / trials) * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def ratio(above: float, below: float) -> float:
    """``above`` over ``below``; NaN where there is nothing below."""
    return above / below if below else nan
