from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deployments.tenancy.queue.fairness import WINDOW_SECONDS, Backlog, Fairness, FairnessWindow, Snapshot, jain_index
from deployments.tenancy.queue.fairness import max_lag as lag

if TYPE_CHECKING:
    from deployments.tenancy.tenant import Band


def backlog(**services: float) -> Backlog:
    """Of tenants with nothing under way."""
    return Backlog(services, services, dict.fromkeys(services, 0.0))


@pytest.mark.parametrize(
    ("services", "index"),
    [((), 1.0), ((0.0, 0.0), 1.0), ((5.0,), 1.0), ((3.0, 3.0), 1.0), ((4.0, 0.0), 0.5), ((1.0, 3.0), 0.8)],
)
def test_the_index_is_one_when_all_have_had_the_same(services: tuple[float, ...], index: float) -> None:
    assert jain_index(services) == pytest.approx(index)


def test_the_lag_is_between_the_greatest_and_the_least() -> None:
    assert (lag(()), lag((7.0,)), lag((1.0, 9.0, 4.0))) == (0.0, 0.0, 8.0)


def test_a_window_counts_what_was_had_in_it() -> None:
    window = FairnessWindow()
    assert window.observe(backlog(a=1000.0, b=0.0), 0.0) == 1.0
    assert window.observe(backlog(a=1003.0, b=1.0), 10.0) == pytest.approx(0.8)
    assert window.observe(backlog(a=1003.0, b=3.0), WINDOW_SECONDS) == 1.0
    assert window.observe(backlog(a=1009.0, b=3.0), 2 * WINDOW_SECONDS) == pytest.approx(144 / 180)
    assert window.observe(backlog(a=1010.0, b=3.0), 2 * WINDOW_SECONDS + 1) == 0.5


def test_who_was_not_backlogged_all_the_time_does_not_count() -> None:
    window = FairnessWindow()
    window.observe(backlog(a=10.0, b=10.0, c=10.0), 0.0)
    later = {"a": 20.0, "b": 20.0, "c": 10.0, "d": 10.0}
    assert window.observe(Backlog(later, later, {"a": 0.0, "b": 0.0, "c": 5.0, "d": 6.0}), 10.0) == 1.0


def test_the_worse_lane_is_told() -> None:
    fairness = Fairness()
    waiting: dict[Band, int] = {"interactive": 0, "default": 2, "flex": 2}
    fairness.state(Snapshot(waiting, 1, {}, (backlog(a=0.0, b=0.0), backlog(a=0.0, b=0.0))), 0.0)
    state = fairness.state(Snapshot(waiting, 1, {"a": 5.0}, (backlog(a=5.0, b=5.0), backlog(a=9.0, b=0.0))), 1.0)
    assert (state.jain, state.max_lag, state.running, state.counters) == (0.5, 9.0, 1, {"a": 5.0})
