"""By the burn rate of the objective: in proportion to it, up to twice the replicas at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from deployments.autoscaling.demand import cold_start_seconds, whole
from deployments.autoscaling.sample import PoolSample, PoolSpec, Reason

BURN = "burn"

MOST_RATIO = 2.0

SAFE_SHARE = 0.5
"""A pool may shrink while the objective burns by less than this share of the target."""


def burn(samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> Sequence[Reason]:
    """What was missed stays missed for as long as it is looked back, so after a growth nothing more is asked for until
    the new replicas have had the time to start.
    """
    sample, scaling = samples[-1], spec.scaling
    if sample.burn is None:
        return []
    ratio = sample.burn / scaling.burn
    text = f"burn {sample.burn:.1f} {'>' if ratio > 1 else '<='} {scaling.burn:g}"
    if ratio < SAFE_SHARE:
        return [Reason(BURN, 0, text)]
    if ratio <= 1 + scaling.tolerance or _grown(samples, now - cold_start_seconds(samples, spec)):
        return [Reason(BURN, sample.target, text)]
    return [Reason(BURN, max(sample.target, whole(sample.replicas * min(ratio, MOST_RATIO))), text)]


def _grown(samples: Sequence[PoolSample], since: float) -> bool:
    return any(after.target > before.target and after.at > since for before, after in pairwise(samples))
