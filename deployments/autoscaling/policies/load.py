"""By tensor load: as many replicas as bring it to the target, ``replicas x load / target``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from deployments.autoscaling.demand import cold_start_seconds, load_ahead, scaled
from deployments.autoscaling.policies.policy import held
from deployments.autoscaling.sample import PoolSample, PoolSpec, Reason

LOAD = "load"


def load(samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> Sequence[Reason]:
    """A replica without fresh figures counts as loaded to the target, so that it asks for nothing and gives nothing up.
    A load that rises asks for as much as it will when a replica that is asked for has started, if that is more than
    what there is. Until the load is below the target, replicas that are starting are kept.
    """
    sample, scaling = samples[-1], spec.scaling
    if sample.replicas == 0:
        return []
    if sample.load is None or sample.reporting == 0:
        return held(sample, "tensor load is not known")
    ratio = replicas_for(sample, sample.load, spec) / sample.replicas
    wanted = scaled(sample.replicas, ratio, scaling.tolerance)
    if ratio >= 1 - scaling.tolerance:
        wanted = max(wanted, sample.target)
    text = f"tensor {sample.load:.2f} {_compared(samples, scaling.load)}"
    ahead = load_ahead(samples, cold_start_seconds(samples, spec))
    wanted_ahead = scaled(sample.replicas, replicas_for(sample, ahead, spec) / sample.replicas, scaling.tolerance)
    if wanted_ahead > max(wanted, sample.target):
        return [Reason(LOAD, wanted_ahead, f"{text}, rising to {ahead:.2f}")]
    return [Reason(LOAD, wanted, text)]


def replicas_for(sample: PoolSample, load: float, spec: PoolSpec) -> float:
    """How many, not in whole ones, have the target's load when those that report have ``load``."""
    return sample.reporting * load / spec.scaling.load + (sample.replicas - sample.reporting)


def _compared(samples: Sequence[PoolSample], target: float) -> str:
    """As in ``> 0.75 for 60 s``."""
    last = samples[-1]
    is_above = last.load is not None and last.load > target
    alike = takewhile(lambda each: each.load is not None and (each.load > target) == is_above, reversed(samples))
    since = min(each.at for each in alike)
    lasting = f" for {last.at - since:.0f} s" if last.at - since >= 1 else ""
    return f"{'>' if is_above else '<='} {target:g}{lasting}"
