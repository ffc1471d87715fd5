from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import fmean, pvariance

import pytest

from loadtest.arrivals.process import moments
from loadtest.arrivals.shapes import SHAPES


def always(passed: float) -> float:
    return 1.0


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0])
def test_gaps_have_the_mean_and_the_variation_that_were_asked_for(burstiness: float) -> None:
    gaps = [after - before for before, after in pairwise(moments(always, 5.0, burstiness, 8000.0, Random(1)))]
    assert fmean(gaps) == pytest.approx(0.2, rel=0.05)
    assert pvariance(gaps) / fmean(gaps) ** 2 == pytest.approx(burstiness, rel=0.1)


def test_the_rate_follows_the_shape() -> None:
    times = list(moments(SHAPES["spike"], 50.0, 1.0, 1000.0, Random(2)))
    spike = sum(450 <= at < 600 for at in times) / 150
    assert spike / (sum(at < 450 for at in times) / 450) == pytest.approx(5.0, rel=0.1)
    assert spike == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_stays_between_nothing_and_the_peak_and_reaches_it(shape: str) -> None:
    levels = [SHAPES[shape](passed / 1000) for passed in range(1001)]  # type: ignore[index]
    assert min(levels) >= 0
    assert max(levels) == pytest.approx(1.0)


def test_moments_are_in_order_and_within_the_time() -> None:
    times = list(moments(SHAPES["diurnal"], 20.0, 3.0, 60.0, Random(3)))
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] < 60
