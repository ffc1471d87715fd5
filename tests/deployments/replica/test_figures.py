from __future__ import annotations

import pytest

from deployments.replica.figures import Rate, figures_of
from deployments.run import Figures
from dllm_worker.interface import EngineLoad


def test_the_rate_is_that_of_the_latest_work() -> None:
    rate = Rate()
    assert rate.value == 0.0
    rate.count(100, 0.5)
    assert rate.value == pytest.approx(200.0)
    for _ in range(100):
        rate.count(100, 0.25)
    assert rate.value == pytest.approx(400.0, rel=0.01)


def test_a_long_step_outweighs_many_short_ones() -> None:
    rate = Rate()
    for _ in range(9):
        rate.count(100, 0.001)
    rate.count(100, 1.0)
    assert rate.value < 1000.0


def test_figures_are_round_so_that_small_changes_are_none() -> None:
    digests = tuple(bytes([i]) * 16 for i in (3, 1, 2))
    figures = figures_of(EngineLoad(3, 12_345, (64, 129), digests), 9_876.5)
    assert figures == Figures(3, 12_000, 9_900.0, (64, 130), (0x01010101, 0x02020202, 0x03030303))
    assert figures == figures_of(EngineLoad(3, 12_399, (64, 128), digests), 9_911.0)
