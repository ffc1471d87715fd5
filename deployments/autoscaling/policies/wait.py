"""By the predicted wait: as many replicas as bring it to ``wait_seconds`` within a cold start."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.autoscaling.demand import WAIT_SAMPLES, arriving, cold_start_seconds, coming, rate_per_replica, whole
from deployments.autoscaling.policies.policy import held
from deployments.autoscaling.sample import PoolSample, PoolSpec, Reason

WAIT, QUEUE = "wait", "queue"


def wait(samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> Sequence[Reason]:
    """Those that run keep their places, and a replica without fresh figures counts as full."""
    sample, scaling = samples[-1], spec.scaling
    if sample.waiting is None:
        return held(sample, "the queue is not known")
    full = sample.replicas - sample.reporting
    running = []
    if sample.reporting:
        kept = min(sample.target, full + whole(places_taken(sample, spec)))
        running = [Reason(QUEUE, kept, f"{sample.running} run in {spec.places * sample.reporting} places")]
    if not _is_behind(samples, spec):
        return running
    rate, queued = rate_per_replica(samples), sample.queued
    if queued is None or rate is None:
        return [*running, *held(sample, f"{sample.waiting} wait, for how long is not known")]
    seconds = queued / (rate * max(1, sample.reporting))
    ratio = seconds / scaling.wait_seconds
    wanted = sample.replicas if abs(ratio - 1) <= scaling.tolerance else full + _needed(samples, spec, rate, queued)
    if ratio >= 1 - scaling.tolerance:
        wanted = max(wanted, sample.target)
    relation = ">" if ratio > 1 else "<="
    return [Reason(WAIT, max(1, wanted), f"wait {seconds:.1f} s {relation} {scaling.wait_seconds:.1f} s"), *running]


def places_taken(sample: PoolSample, spec: PoolSpec) -> float:
    """In replicas, which are not quite full."""
    return sample.running / (spec.places * (1 - spec.scaling.tolerance))


def _is_behind(samples: Sequence[PoolSample], spec: PoolSpec) -> bool:
    """Whether more wait than there are free places, or a good part of all has been waiting for some time. Requests on
    their way to a free place wait as well.
    """
    sample, share = samples[-1], spec.scaling.tolerance
    if sample.waiting and sample.waiting > spec.places * sample.reporting - sample.running:
        return True
    recent = samples[-WAIT_SAMPLES:]
    return len(recent) == WAIT_SAMPLES and all((each.waiting or 0) > share * each.running for each in recent)


def _needed(samples: Sequence[PoolSample], spec: PoolSpec, rate: float, queued: float) -> int:
    """Replicas that do what is left when they have started, and what arrives in as long again, in that time and the
    target of the wait. The replicas that run or start by then have taken their part. Without a cold start it is
    ``queued / (rate x wait_seconds)``.
    """
    sample, seconds = samples[-1], cold_start_seconds(samples, spec)
    new = arriving(samples)
    taken = rate * (sample.reporting + coming(sample))
    left = max(0.0, queued + seconds * (new - taken))
    return whole((left + seconds * new) / (rate * (seconds + spec.scaling.wait_seconds)))
