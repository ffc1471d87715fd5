"""The terms of a score, in seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.routing.score import ReplicaView, reference_rate, score, spread
from deployments.routing.work import Demand


def test_wait_is_the_backlog_over_the_rate() -> None:
    assert score(ReplicaView("a", backlog=300, rate=100), Demand("x", work=50), 100).wait == 3.0


@pytest.mark.parametrize(
    ("view", "speed"),
    [
        (ReplicaView("unmeasured"), 100),
        (ReplicaView("slow with places free", rate=20), 100),
        (ReplicaView("slow though full", rate=20, full=True), 20),
        (ReplicaView("full, but unmeasured", full=True), 100),
        (ReplicaView("fast", rate=200), 200),
    ],
    ids=lambda value: value.name.replace(" ", "-") if isinstance(value, ReplicaView) else None,
)
def test_a_low_rate_counts_only_where_there_was_enough_to_do(view: ReplicaView, speed: float) -> None:
    assert view.speed(100) == speed


def test_the_reference_is_the_mean_of_the_measured_rates() -> None:
    assert reference_rate([ReplicaView("a", rate=10), ReplicaView("b", rate=30), ReplicaView("c")]) == 20
    assert reference_rate([ReplicaView("a")]) == 1


def test_refresh_work_bunches_with_what_is_due_in_the_same_steps() -> None:
    demand = Demand("x", work=500, refresh=(100, 0, 0, 40), refresh_share=60)
    due_with_it = ReplicaView("a", rate=10, refresh_due=(60, 30, 0, 0))
    due_later = ReplicaView("b", rate=10, refresh_due=(0, 0, 50, 0))
    assert score(due_with_it, demand, 10).bunching == (60 + 30) / 10
    assert score(due_later, demand, 10).bunching == 0
    assert score(ReplicaView("c", rate=10), demand, 10).bunching == 0


def test_cached_pages_save_their_prefill_and_do_not_bunch() -> None:
    demand = Demand("x", work=500, refresh=(100, 0), refresh_share=100, pages=(7, 8, 9), page_size=32)
    view = ReplicaView("a", rate=10, refresh_due=(100, 0), prefixes=frozenset((8,)))
    terms = score(view, demand, 10)
    assert terms.locality == 2 * 32 / 10
    assert terms.bunching == (100 - 2 * 32) / 10
    assert terms.total == terms.wait + terms.bunching - terms.locality


def test_no_more_is_saved_than_there_is_to_prefill() -> None:
    demand = Demand("x", work=500, refresh=(50, 0), pages=(7, 8), page_size=32)
    assert score(ReplicaView("a", rate=10, prefixes=frozenset((8,))), demand, 10).locality == 5.0


def test_the_home_of_an_affinity_is_credited_with_the_whole_prefill() -> None:
    assert score(ReplicaView("a", rate=10), Demand("x", work=500, refresh=(80, 5)), 10, home=True).locality == 8.0


@given(st.lists(st.integers(0, 500), max_size=10), st.integers(1, 300))
def test_spreading_keeps_to_the_share_and_computes_nothing_twice_or_early(due: list[int], share: int) -> None:
    served = spread(due, share)
    assert len(served) == len(due)
    assert all(0 <= positions <= share for positions in served)
    for step in range(len(due)):
        behind = sum(due[: step + 1]) - sum(served[: step + 1])
        assert behind >= 0
        assert behind == 0 or served[step] == share
