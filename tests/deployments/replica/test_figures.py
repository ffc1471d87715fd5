from __future__ import annotations

import pytest

from deployments.activity.ladder import TensorActivity
from deployments.autoscaling.report import ReplicaReport
from deployments.replica.figures import Rate, figures_of, report_of
from deployments.run import Figures
from dllm_worker.interface import EngineLoad, EngineStats
from dllm_worker.scheduling.planner import StepKind


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


STATS = EngineStats(
    running=3,
    waiting=2,
    free_pages=1,
    pages=4,
    steps=5,
    position_forwards=100,
    reused_positions=0,
    preemptions=0,
    flops=1e9,
    bytes=1e6,
    kinds={StepKind.PREFILL: 10, StepKind.REFRESH: 20, StepKind.REUSE: 60, StepKind.COMMIT: 10},
)


def test_a_report_tells_what_is_known_and_when() -> None:
    activity = TensorActivity("gpm", 0.4, 0.5, 0.9, at=99.0)
    report = report_of(STATS, Figures(backlog=7_000, rate=900.0), activity, at=100.0)
    assert report == ReplicaReport(
        100.0, 3, 2, 7_000, 900.0, refresh=40, positions=100, source="gpm", activity=0.4, load=0.5
    )
    assert ReplicaReport.of(report.as_numbers()) == report


def test_a_report_leaves_out_an_activity_that_is_not_known() -> None:
    numbers = report_of(STATS, Figures(), None, at=100.0).as_numbers()
    assert numbers["source"] == 0
    assert {"activity", "load"}.isdisjoint(numbers)
