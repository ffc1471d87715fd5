"""When pools go to sleep, and when they wake."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.autoscaling.candidate import Candidate
from deployments.autoscaling.policies.wait import QUEUE
from deployments.autoscaling.sample import PoolSample, Reason


def awake(candidates: Sequence[Candidate], now: float) -> list[Candidate]:
    """The pools of one group: those that have been idle for long enough sleep. Until all do, one replica stays; when
    all do, the first request that waits wakes a pool, the cheapest that may run.
    """
    resting = [_resting(each, now, is_alone=len(candidates) == 1) for each in candidates]
    waiting = max((each.sample.waiting or 0 for each in candidates), default=0)
    present = [each for each in resting if each.sample.target > 0]
    if not present and waiting:
        first = max(resting, key=lambda each: (each.sample.most > 0, each.wanted, -each.spec.price))
        woken = first.because(Reason(QUEUE, 1, f"{waiting} wait and no replica runs"), is_waking=True)
        return [woken if each is first else each for each in resting]
    if present and not any(each.wanted for each in resting) and not all(each.is_sleeping for each in present):
        last = min((each for each in present if not each.is_sleeping), key=lambda each: each.spec.price)
        text = f"idle for {idle_seconds(last.samples, now):.0f} s of {last.spec.scaling.idle_seconds:g} s"
        return [each.because(Reason(QUEUE, 1, text)) if each is last else each for each in resting]
    return resting


def idle_seconds(samples: Sequence[PoolSample], now: float) -> float:
    """For how long nothing has been known to run or to wait, without a gap in what is known; 0 if that is not so. The
    time in which the pool was asleep does not count: what woke it may have come and gone between two samples.
    """
    since = now
    for sample in reversed(samples):
        if sample.waiting != 0 or sample.running or sample.reporting != sample.replicas or not sample.target:
            break
        since = sample.at
    return now - since


def _resting(candidate: Candidate, now: float, *, is_alone: bool) -> Candidate:
    """A pool of several may have been given work of the others, which only is on its way."""
    seconds = idle_seconds(candidate.samples, now)
    may_sleep = candidate.sample.target > 0 and candidate.floor == 0 and (is_alone or candidate.wanted == 0)
    if not may_sleep or seconds < candidate.spec.scaling.idle_seconds:
        return candidate
    return candidate.because(Reason(QUEUE, 0, f"idle for {seconds:.0f} s"), is_sleeping=True)
