"""An operator's own policy, which fails as soon as it sees a real pool."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.autoscaling.sample import PoolSample, PoolSpec, Reason

PATH = "tests.deployments.autoscaling.own_policy:fail"


def fail(samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> Sequence[Reason]:
    if spec.name == "example":
        return []
    raise RuntimeError("this policy fails")
