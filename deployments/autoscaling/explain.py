"""Why pools have the sizes that they have, in the form of the API. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from deployments.autoscaling.measures import signals
from deployments.autoscaling.sample import Decision, PoolSample, PoolSpec
from deployments.autoscaling.trace import Trace

CHANGES = 20
"""So many of the latest changes of each pool are told."""

Json = dict[str, Any]


def explain(trace: Trace, now: float, pool: str | None = None) -> list[Json]:
    """Each pool of the trace by name, or only the one that is named: none when it is not in it."""
    names = [name for name in sorted(trace.specs) if pool in (None, name)]
    return [_pool_json(trace, trace.specs[name], now) for name in names]


def _pool_json(trace: Trace, spec: PoolSpec, now: float) -> Json:
    decided = [decision for decision in trace.decisions if spec.name in decision.verdicts]
    changes = [decision for decision in decided if _changes(decision, spec.name)]
    samples = trace.samples.get(spec.name, ())
    return {
        "object": "pool",
        "name": spec.name,
        "model": spec.model,
        "group": spec.group,
        "policy": spec.scaling.policy,
        "state": _state_json(samples[-1], now) if samples else None,
        "last": _decision_json(decided[-1], spec.name) if decided else None,
        "changes": [_decision_json(decision, spec.name) for decision in changes[: -CHANGES - 1 : -1]],
    }


def _changes(decision: Decision, pool: str) -> bool:
    verdict = decision.verdicts[pool]
    return verdict.before != verdict.after


def _state_json(sample: PoolSample, now: float) -> Json:
    return {
        "at": sample.at,
        "age_seconds": max(0.0, now - sample.at),
        "replicas": sample.replicas,
        "target": sample.target,
        "least": sample.least,
        "most": sample.most,
        "reporting": sample.reporting,
        "running": sample.running,
        "waiting": sample.waiting,
        "backlog": sample.backlog,
        "rate": sample.rate,
        "signals": signals(sample),
    }


def _decision_json(decision: Decision, pool: str) -> Json:
    verdict = decision.verdicts[pool]
    return {
        "at": decision.at,
        "before": verdict.before,
        "after": verdict.after,
        "bound": verdict.bound,
        "text": verdict.explain(),
        "reasons": [asdict(reason) for reason in verdict.reasons],
    }
