"""Policies over synthetic and recorded traces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.autoscaling.course import Course
from cluster.autoscaling.replay import POOL, Synthetic, over_trace, simulate
from cluster.autoscaling.serve_rule import ServeRule
from cluster.autoscaling.shapes import SHAPES
from deployments.autoscaling.config import AutoscalingConfig, ScalingConfig
from deployments.autoscaling.decide import decide
from deployments.autoscaling.sample import Decision, History, PoolSample, Reason, Verdict
from deployments.autoscaling.trace import Trace, read_trace
from tests.deployments.autoscaling.scenarios import sample, spec

TIMING = AutoscalingConfig(interval_seconds=5.0)
SHORT = Synthetic("step", seconds=400.0, peak=3.0, most=6)


@pytest.fixture(scope="module")
def course() -> Course:
    return simulate("tensor_core", decide, SHORT, ScalingConfig(), TIMING)


def test_replicas_follow_the_demand(course: Course) -> None:
    sizes = [decision.targets[POOL] for decision in course.trace.decisions]
    assert max(sizes[:12]) <= 2
    assert max(sizes) >= 4
    assert {each.most for each in course.trace.samples[POOL]} == {6}


def test_the_same_seed_gives_the_same_and_another_one_does_not(course: Course) -> None:
    assert simulate("tensor_core", decide, SHORT, ScalingConfig(), TIMING) == course
    assert simulate("tensor_core", decide, replace(SHORT, seed=1), ScalingConfig(), TIMING) != course


def test_a_policy_over_its_own_trace_decides_the_same_again(course: Course) -> None:
    stored = read_trace(course.trace.lines())
    again = over_trace("tensor_core", decide, stored, TIMING)
    assert again.trace.decisions == course.trace.decisions
    assert again.summary().replica_seconds == course.summary().replica_seconds


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_stays_within_its_peak(shape: str) -> None:
    demands = [SHAPES[shape](step / 1000) for step in range(1000)]
    assert all(0 <= demand <= 1 for demand in demands)
    assert max(demands) > 2 * min(demands)


def test_fewer_wait_long_than_with_serves_rule_for_about_the_same_replicas() -> None:
    long = replace(SHORT, seconds=1200.0)
    ours = simulate("tensor_core", decide, long, ScalingConfig(), TIMING).summary()
    rule = simulate("serve", ServeRule(12.0), long, ScalingConfig(), TIMING).summary()
    assert ours.p99_wait_seconds is not None
    assert rule.p99_wait_seconds is not None
    assert ours.p99_wait_seconds < rule.p99_wait_seconds
    assert ours.seconds_above_objective < rule.seconds_above_objective
    assert ours.replica_seconds < 1.2 * rule.replica_seconds


def test_a_summary_counts_what_was_asked_for_and_what_was_too_late() -> None:
    sizes = [(0.0, 1, 3), (10.0, 3, 2), (20.0, 2, 1), (30.0, 1, 4)]
    decisions = tuple(Decision(at, {"a": Verdict(before, after, "none", ())}) for at, before, after in sizes)
    slow = sample(10.0, 3, waiting=2, backlog=30_000.0)
    samples = (sample(0.0), slow, sample(20.0, 2), sample(30.0, 2, waiting=1, rate=None))
    summary = Course("p", Trace({"a": spec(price=36.0)}, {"a": samples}, decisions), [0.0, 1.0]).summary()
    assert summary.replica_seconds == 10 * (3 + 2 + 1)
    assert summary.cost == pytest.approx(0.6)
    assert (summary.changes, summary.oscillations, summary.most_replicas) == (3, 1, 4)
    assert summary.p99_wait_seconds == pytest.approx(0.99)
    assert summary.seconds_above_objective == 10.0


def rule_over(requests: list[int], rule: ServeRule, least: int = 0) -> list[int]:
    """The sizes of a pool whose replicas come at once; a request count each ten seconds."""
    samples: list[PoolSample] = []
    decisions: list[Decision] = []
    target = least
    for number, running in enumerate(requests):
        at = 10.0 * number
        samples.append(sample(at, target, least=least, running=running))
        decision = rule(History({"a": samples}, decisions), [spec(least=least)], at, 15.0)
        decisions.append(decision)
        target = decision.targets["a"]
    return [each.targets["a"] for each in decisions]


def test_serves_rule_waits_for_its_delays_and_sleeps_from_one_only() -> None:
    rule = ServeRule(ongoing=2.0, look_back_seconds=5.0, up_seconds=20.0, down_seconds=30.0)
    assert rule_over([0, 8, 8, 8, 8], rule) == [0, 1, 1, 1, 4]
    assert rule_over([8, 8, 8, 8, 2, 2, 8, 0, 0, 0, 0, 0, 0, 0, 0], rule, least=1)[3:10] == [4] * 7
    assert rule_over([8, 8, 8, 8, *[0] * 10], rule)[-7:] == [1, 1, 1, 1, 0, 0, 0]


def test_serves_rule_says_what_it_counts() -> None:
    found = ServeRule(ongoing=4.0)(History({"a": [sample(0.0, 2, running=9)]}), [spec()], 0.0, 15.0)
    assert found.verdicts["a"].reasons == (Reason("ongoing", 3, "9.0 requests, 4 for each replica"),)
    assert found.verdicts["a"].after == 2
