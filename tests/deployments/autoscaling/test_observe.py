"""Reports become samples: what is old or missing is unknown, and what is shared counts once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.autoscaling.observe import (
    BURN_SECONDS,
    PoolSight,
    QueueLoad,
    Queues,
    least_busy,
    numbers_of,
    pool_sample,
    queues_of,
    report_of,
)
from deployments.autoscaling.report import QueueReport, ReplicaReport
from tests.deployments.autoscaling.seen import NOW, queue, replica, spec

STALE = 15.0
QUEUE = spec().group


def sampled(reports: Mapping[str, ReplicaReport | None], load: QueueLoad | None, **more: Any) -> Any:
    return pool_sample(NOW, PoolSight(reports, 3, 1, 5, **more), load, STALE, {})


def test_replicas_are_added_up_and_their_loads_are_averaged() -> None:
    reports = {"a": replica(load=0.8, running=3), "b": replica(load=0.4), "c": replica()}
    told = sampled(reports, QueueLoad(7, 900.0, 0.5), queued=1)
    assert (told.replicas, told.target, told.least, told.most, told.reporting) == (3, 3, 1, 5, 3)
    assert told.load == pytest.approx(0.6)
    assert (told.running, told.waiting, told.backlog, told.rate, told.burn) == (5, 14, 1200.0, 150.0, 0.5)
    assert told.wait == pytest.approx(1200.0 * 14 / (14 + 5 / 2) / 150.0)


def test_what_is_old_is_not_known() -> None:
    told = sampled({"a": replica(NOW - STALE - 0.1, load=0.9), "b": None}, None)
    assert (told.replicas, told.reporting, told.running) == (2, 0, 0)
    assert (told.load, told.waiting, told.backlog, told.rate, told.burn, told.wait) == (None,) * 6


def test_without_replicas_what_waits_is_known_and_how_long_it_will_is_not() -> None:
    told = sampled({}, QueueLoad(1, 64.0, None))
    assert (told.replicas, told.waiting, told.backlog, told.rate, told.wait) == (0, 1, 64.0, None, None)


def test_the_share_of_refreshes_is_that_since_the_last_look() -> None:
    earlier = {"a": replica(refresh=100.0, positions=1000.0), "gone": replica(positions=9e9)}
    now = {"a": replica(refresh=130.0, positions=1100.0), "new": replica(refresh=5.0, positions=5.0)}
    sight = PoolSight(now, 2, 1, 5)
    assert pool_sample(NOW, sight, None, STALE, earlier).refresh_share == pytest.approx(0.3)
    assert pool_sample(NOW, sight, None, STALE, now).refresh_share is None


def test_a_queue_that_all_gateways_share_counts_once() -> None:
    queues = Queues(STALE)
    queues.hear({"one": {QUEUE: queue(waiting=5, backlog=50.0)}, "two": {QUEUE: queue(waiting=4, backlog=40.0)}})
    assert queues.load(spec(), NOW) == QueueLoad(5, 50.0, None)
    queues.hear({"two": {QUEUE: queue(NOW + 1, waiting=3, backlog=30.0)}})
    assert queues.load(spec(), NOW + 1) == QueueLoad(3, 30.0, None), "a gateway that is gone says nothing"
    assert queues.load(spec(), NOW + 2 + STALE) is None
    assert queues.load(spec(model="other"), NOW + 1) is None


def test_the_burn_rate_is_that_of_the_latest_answers_of_all_gateways() -> None:
    queues = Queues(STALE)

    def hear(at: float, *counts: tuple[float, float]) -> None:
        names = ("one", "two")
        queues.hear({name: {QUEUE: queue(at, met=m, missed=n)} for name, (m, n) in zip(names, counts, strict=True)})

    def burn(at: float) -> float | None:
        load = queues.load(spec(), at)
        assert load is not None
        return load.burn

    hear(NOW, (1000, 900), (50, 0))
    assert burn(NOW) is None, "no answer has ended since the gateways are known"
    hear(NOW + 10, (1006, 902), (62, 0))
    assert burn(NOW + 10) == pytest.approx((2 / 20) / 0.1)
    later = NOW + 20 + BURN_SECONDS
    hear(later - 10, (1006, 902), (62, 0))
    hear(later, (1016, 902), (62, 0))
    assert burn(later) == 0.0, "what was missed is long ago"


def test_a_report_that_is_repeated_is_no_news() -> None:
    queues = Queues(STALE)
    for _ in range(3):
        queues.hear({"one": {QUEUE: queue(waiting=2, backlog=1.0, met=1)}})
    assert queues.load(spec(), NOW) == QueueLoad(2, 1.0, None)


def test_only_what_was_returned_last_counts() -> None:
    points = {
        "at": {"a": (10.0, 9.5), "b": (8.0, 7.5)},
        "load": {"a": (9.0, 0.9), "b": (8.0, 0.2)},
    }
    assert numbers_of(points) == {"a": {"at": 9.5}, "b": {"at": 7.5, "load": 0.2}}


@given(
    running=st.integers(0, 99), load=st.none() | st.floats(0, 1), source=st.sampled_from(["none", "estimate", "gpm"])
)
def test_reports_come_back_from_their_numbers(running: int, load: float | None, source: str) -> None:
    report = replica(running=running, load=load, source=source)
    assert report_of(report.as_numbers()) == report
    both = queue(waiting=running).as_numbers("a:b/c") | queue(met=3).as_numbers("d")
    assert queues_of(both) == {"a:b/c": queue(waiting=running), "d": queue(met=3)}


@given(st.dictionaries(st.sampled_from(["at", "running", "source", "queue/a/at", "queue/a/x", "z"]), st.floats()))
def test_numbers_of_something_else_are_no_report(numbers: dict[str, float]) -> None:
    assert report_of(numbers) is None
    assert all(isinstance(each, QueueReport) for each in queues_of(numbers).values())


def test_the_least_busy_come_first_and_the_unknown_last() -> None:
    known = {"a": replica(backlog=5.0), "b": replica(backlog=0.0, running=2), "c": replica(backlog=0.0)}
    assert least_busy(known, ["x", "a", "b", "c"]) == ["c", "b", "a", "x"]
