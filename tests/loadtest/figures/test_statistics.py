from __future__ import annotations

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.figures.statistics import percentile, ratio, wilson_interval


def test_a_percentile_is_one_of_the_values() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0.0, 0.2, 0.5, 0.8, 0.81, 1.0)] == [1, 1, 3, 4, 5, 5]
    assert isnan(percentile([], 0.5))


def test_wilson_intervals_as_in_tables() -> None:
    assert wilson_interval(15, 20) == pytest.approx((0.5313, 0.8881), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(0, 0) == (0, 1)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_the_share_and_narrows(counts: tuple[int, int]) -> None:
    successes, trials = counts
    least, most = wilson_interval(successes, trials)
    assert 0 <= least <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= most <= 1
    narrower = wilson_interval(4 * successes, 4 * trials)
    assert narrower[1] - narrower[0] < most - least


def test_a_ratio_to_nothing_is_unknown() -> None:
    assert ratio(3, 2) == 1.5
    assert isnan(ratio(3, 0))
