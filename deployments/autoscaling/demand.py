"""What several signals need to know of a pool: how long it takes to grow, how fast it works, where its load goes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from math import ceil
from statistics import fmean, median

from deployments.autoscaling.known import MOST
from deployments.autoscaling.sample import PoolSample, PoolSpec

ROUNDING = 1e-6
"""By so much a number of replicas may be above a whole one that it stands for."""

RISE_SAMPLES, WAIT_SAMPLES = 5, 3
"""A rise of the load, and a growth of the backlog, is what at least so many samples say."""

ARRIVAL_SECONDS = 15.0
"""How far back it is looked for how much arrives."""

MOST_AHEAD = 2.0
"""A load is not taken to rise to more than so many times what it is."""


def whole(replicas: float) -> int:
    """The least whole number of replicas that is not below, of any number at all."""
    return ceil(max(-MOST, min(MOST, replicas)) - ROUNDING)


def scaled(replicas: int, ratio: float, tolerance: float) -> int:
    """``replicas`` times ``ratio``, or just ``replicas`` when the ratio deviates from 1 by less than ``tolerance``."""
    return replicas if abs(ratio - 1) <= tolerance else whole(replicas * ratio)


def coming(sample: PoolSample) -> int:
    """Replicas that are wanted and do not run yet."""
    return max(0, sample.target - sample.replicas)


def cold_start_seconds(samples: Sequence[PoolSample], spec: PoolSpec) -> float:
    """From the moment at which more replicas are wanted to the one at which these run: the median of what was seen, or
    what the configuration says.
    """
    seen: list[float] = []
    asked: PoolSample | None = None
    target = samples[0].target
    for sample in samples:
        if sample.target > target and coming(sample):
            asked = sample
        elif asked and sample.target < asked.target:
            asked = None
        if asked and sample.replicas >= asked.target:
            seen.append(sample.at - asked.at)
            asked = None
        target = sample.target
    return median(seen) if seen else spec.scaling.cold_start_seconds


def rate_per_replica(samples: Sequence[PoolSample]) -> float | None:
    """Position-forwards that a replica does in a second, by the latest sample that knows it."""
    return next((sample.rate / sample.reporting for sample in reversed(samples) if _has_rate(sample)), None)  # type: ignore[operator]


def capacity_per_replica(samples: Sequence[PoolSample]) -> float | None:
    """The greatest :func:`rate_per_replica` that was seen: with fuller batches a replica does more in a second."""
    return max((sample.rate / sample.reporting for sample in samples if _has_rate(sample)), default=None)  # type: ignore[operator]


def arriving(samples: Sequence[PoolSample]) -> float:
    """Position-forwards of new requests in a second: what the backlog grew by and what was done, since requests have
    been waiting. Before that can be said, as much as is done.
    """
    last = samples[-1]
    recent = takewhile(lambda each: each.at > last.at - ARRIVAL_SECONDS, reversed(samples))
    full = [(each.at, each.backlog, each.rate) for each in takewhile(_is_behind, recent)]
    if len(full) < WAIT_SAMPLES or full[-1][0] >= last.at:
        return last.rate or 0.0
    grown = (full[0][1] or 0.0) - (full[-1][1] or 0.0)
    return max(0.0, fmean(rate or 0.0 for _, _, rate in full) + grown / (last.at - full[-1][0]))


def load_ahead(samples: Sequence[PoolSample], seconds: float) -> float:
    """The load of the last sample, which has to know it, or more if it rises: what it comes to after ``seconds`` by the
    trend since the number of replicas last changed. The look ahead is no further than that back.
    """
    last = samples[-1]
    alike = takewhile(lambda each: _size(each) == _size(last) and each.at > last.at - seconds, reversed(samples))
    points = [(each.at - last.at, each.load) for each in alike if each.load is not None]
    load = points[0][1]
    span = -points[-1][0]
    if len(points) < RISE_SAMPLES or span <= 0:
        return load
    middle = fmean(at for at, _ in points)
    spread = sum((at - middle) ** 2 for at, _ in points)
    slope = sum((at - middle) * value for at, value in points) / spread
    return min(load + max(0.0, slope) * span, load * MOST_AHEAD)


def _size(sample: PoolSample) -> tuple[int, int]:
    return sample.replicas, sample.reporting


def _is_behind(sample: PoolSample) -> bool:
    return bool(sample.waiting and sample.rate) and sample.backlog is not None


def _has_rate(sample: PoolSample) -> bool:
    return bool(sample.rate and sample.reporting)
