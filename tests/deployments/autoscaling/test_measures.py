from __future__ import annotations

import math
from dataclasses import replace

from deployments.autoscaling.measures import measure, pool_name
from deployments.autoscaling.sample import Decision, Reason, Verdict
from deployments.telemetry.metrics import MemoryMetrics
from deployments.telemetry.names import (
    REPLICAS,
    SCALING_DECISIONS,
    SCALING_ERRORS,
    SCALING_SIGNAL,
    SCALING_WANTED,
)
from tests.deployments.autoscaling.seen import NOW, spec, told


def test_a_round_is_measured() -> None:
    metrics = MemoryMetrics()
    one = told(NOW, 2, 3, load=0.9, waiting=0)
    reasons = (Reason("load", 3, "tensor"), Reason("wait", 1, "wait"), Reason("max", 3, "capped by max"))
    decision = Decision(NOW, {spec().name: Verdict(2, 3, "max", reasons)})
    measure(metrics, replace(one, decision=decision))
    pool = ("tiny", "default")
    assert spec().name == pool_name(*pool)
    assert (metrics.last(REPLICAS, *pool, "running"), metrics.last(REPLICAS, *pool, "wanted")) == (2, 3)
    assert metrics.last(SCALING_SIGNAL, *pool, "load") == 0.9
    assert metrics.last(SCALING_SIGNAL, *pool, "wait_seconds") == 0.0
    assert math.isnan(metrics.last(SCALING_SIGNAL, *pool, "burn")), "what is not known is not what was known last"
    assert metrics.last(SCALING_WANTED, *pool, "load") == 3
    assert metrics.total(SCALING_DECISIONS, *pool, "up", "max") == 1
    assert metrics.total(SCALING_ERRORS, *pool) == 0
    assert not [key for key in metrics.values if key[:2] == (SCALING_WANTED.name, "max")]


def test_a_failed_decision_is_counted() -> None:
    metrics = MemoryMetrics()
    measure(metrics, replace(told(NOW), decision=None))
    assert metrics.total(SCALING_ERRORS, "tiny", "default") == 1
