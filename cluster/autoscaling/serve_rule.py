"""Ray Serve's own rule, for comparison: requests in progress over a target, after a delay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import ceil
from statistics import fmean

from deployments.autoscaling.past import Past
from deployments.autoscaling.sample import Decision, History, PoolSample, PoolSpec, Reason, Verdict

ONGOING = "ongoing"


@dataclass(frozen=True, slots=True)
class ServeRule:
    """``replica_queue_length_autoscaling_policy`` of Ray Serve 2.60 with its defaults: the number that brings each
    replica to ``ongoing`` requests by the mean of ``look_back_seconds``, once that has been another one in the same
    direction for as long as the delay. It goes to 0 from 1 only, and from 0 to 1 at once.
    """

    ongoing: float = 2.0
    look_back_seconds: float = 30.0
    up_seconds: float = 30.0
    down_seconds: float = 600.0

    def __call__(self, history: History, specs: Sequence[PoolSpec], now: float, stale_seconds: float) -> Decision:
        """As :func:`deployments.autoscaling.decide.decide`."""
        verdicts = {
            spec.name: self._verdict(
                history.samples[spec.name], Past.of(spec.name, history.decisions, now, self.down_seconds)
            )
            for spec in specs
            if history.samples.get(spec.name)
        }
        return Decision(now, verdicts)

    def _verdict(self, samples: Sequence[PoolSample], past: Past) -> Verdict:
        sample = samples[-1]
        before = sample.target
        recent = takewhile(lambda each: each.at > sample.at - self.look_back_seconds, reversed(samples))
        requests = fmean(each.running + (each.waiting or 0) for each in recent)
        wanted = before
        if before == 0:
            wanted = min(1, ceil(requests))
        elif sample.replicas:
            wanted = ceil(requests / self.ongoing)
        wanted = min(max(wanted, sample.least, 1 if before > 1 else 0), sample.most)
        reason = Reason(ONGOING, wanted, f"{requests:.1f} requests, {self.ongoing:g} for each replica")
        is_due = before == 0 or self._lasting(past, wanted - before) >= (
            self.up_seconds if wanted > before else self.down_seconds
        )
        after = wanted if is_due else before
        return Verdict(before, after, "none" if after == wanted else "pace", (reason,))

    def _lasting(self, past: Past, change: int) -> float:
        """For how long a change in the direction of ``change`` has been asked for without one being made."""
        since = past.now
        for at, verdict in past.verdicts:
            if verdict.before != verdict.after or (verdict.reasons[0].wanted - verdict.before) * change <= 0:
                break
            since = at
        return past.now - since
