"""Reports, pools and rounds that tests are made of."""

from __future__ import annotations

from typing import Any

from deployments.autoscaling.conductor import Round
from deployments.autoscaling.config import ObjectiveConfig, ScalingConfig
from deployments.autoscaling.report import QueueReport, ReplicaReport
from deployments.autoscaling.sample import Decision, PoolSample, PoolSpec, Reason, Verdict

NOW = 1_700_000_000.0


def spec(pool: str = "default", model: str = "tiny", least: int = 1, most: int = 5) -> PoolSpec:
    objective = ObjectiveConfig(first_commit_seconds=1.0, share=0.9)
    return PoolSpec(f"{model}/{pool}", model, f"{model}:every", least, most, 4, 1.0, ScalingConfig(), objective)


def replica(at: float = NOW, **facts: Any) -> ReplicaReport:
    return ReplicaReport(**{
        "at": at, "running": 1, "waiting": 2, "backlog": 100.0, "rate": 50.0, "refresh": 0.0, "positions": 0.0, **facts
    })  # fmt: skip


def queue(at: float = NOW, waiting: int = 0, backlog: float = 0.0, met: float = 0, missed: float = 0) -> QueueReport:
    return QueueReport(at, waiting, backlog, met, missed)


def sample(at: float = NOW, replicas: int = 1, target: int = 1, **facts: Any) -> PoolSample:
    return PoolSample(at, replicas, target, 1, 5, **facts)


def decision(at: float, before: int, after: int, pool: str = "tiny/default", bound: str = "none") -> Decision:
    reason = Reason("load", after, f"tensor 0.91 > 0.75 at {at:.0f}")
    return Decision(at, {pool: Verdict(before, after, bound, (reason,))})


def told(at: float, before: int = 1, after: int = 1, **facts: Any) -> Round:
    one = spec()
    return Round(at, (one,), {one.name: sample(at, before, before, **facts)}, decision(at, before, after))
