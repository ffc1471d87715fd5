"""Figures on their way through Ray Serve's controller."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.routing.stats import figures_of, quantised, stats_of
from deployments.run import Figures

FIGURES = Figures(free_places=3, backlog=123_456, rate=0.01239, refresh_due=(187, 0), prefixes=(4, 9))


def test_two_significant_digits_are_kept() -> None:
    assert quantised(FIGURES) == Figures(3, 120_000, 0.012, (190, 0), (4, 9))


@given(st.integers(0, 10**9), st.floats(0, 1e9))
def test_rounding_is_within_five_percent_and_done_once(backlog: int, rate: float) -> None:
    rough = quantised(Figures(backlog=backlog, rate=rate))
    assert rough.backlog == pytest.approx(backlog, rel=0.05)
    assert rough.rate == pytest.approx(rate, rel=0.05)
    assert quantised(rough) == rough


def test_they_arrive_as_they_were_sent_but_for_what_is_over_by_then() -> None:
    rough = quantised(FIGURES)
    arrived = figures_of(json.loads(json.dumps(stats_of(FIGURES))))
    assert arrived == Figures(rough.free_places, rough.backlog, rough.rate, (), rough.prefixes)
