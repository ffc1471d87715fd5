"""The metrics of a round: what was seen of each pool, and what was decided."""

from __future__ import annotations

import math
from collections.abc import Mapping

from deployments.autoscaling.conductor import Round
from deployments.autoscaling.sample import PoolSample, Verdict
from deployments.telemetry.metrics import Metrics
from deployments.telemetry.names import (
    REPLICAS,
    SCALING_DECISIONS,
    SCALING_ERRORS,
    SCALING_SIGNAL,
    SCALING_WANTED,
)

WANTING = ("load", "wait", "burn", "schedule", "queue")
"""The signals that ask for a number of replicas by themselves."""


def pool_name(model: str, pool: str) -> str:
    """The name of a pool among all pools of an application."""
    return f"{model}/{pool}"


def signals(sample: PoolSample) -> dict[str, float | None]:
    """What a pool's size is decided from, by name; ``None`` is not known."""
    return {
        "load": sample.load,
        "wait_seconds": sample.wait,
        "burn": sample.burn,
        "refresh_share": sample.refresh_share,
    }


def measure(metrics: Metrics, told: Round) -> None:
    """Enter a round into ``metrics``. What is not known is entered as not a number, since a gauge would go on to tell
    what was known last.
    """
    for spec in told.specs:
        labels = {"model": spec.model, "pool": spec.name.removeprefix(pool_name(spec.model, ""))}
        sample = told.samples[spec.name]
        metrics.record(REPLICAS, sample.replicas, state="running", **labels)
        for signal, value in signals(sample).items():
            metrics.record(SCALING_SIGNAL, math.nan if value is None else value, signal=signal, **labels)
        if told.decision is None:
            metrics.record(SCALING_ERRORS, 1, **labels)
        elif spec.name in told.decision.verdicts:
            _measure_verdict(metrics, told.decision.verdicts[spec.name], labels)


def _measure_verdict(metrics: Metrics, verdict: Verdict, labels: Mapping[str, str]) -> None:
    metrics.record(REPLICAS, verdict.after, state="wanted", **labels)
    for reason in verdict.reasons:
        if reason.signal in WANTING:
            metrics.record(SCALING_WANTED, reason.wanted, signal=reason.signal, **labels)
    change = verdict.after - verdict.before
    direction = "up" if change > 0 else "down" if change < 0 else "hold"
    metrics.record(SCALING_DECISIONS, 1, direction=direction, bound=verdict.bound, **labels)
