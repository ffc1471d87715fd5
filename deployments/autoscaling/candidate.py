"""A pool on its way to a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from deployments.autoscaling.demand import capacity_per_replica
from deployments.autoscaling.past import Past, asked
from deployments.autoscaling.policies.load import LOAD, replicas_for
from deployments.autoscaling.policies.policy import STALE
from deployments.autoscaling.policies.schedule import SCHEDULE
from deployments.autoscaling.policies.wait import QUEUE, WAIT, places_taken
from deployments.autoscaling.sample import PoolSample, PoolSpec, Reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pool with fresh figures, its past, and what its signals ask for.

    One that ``is_waking`` gets its first replica at once, one that ``is_sleeping`` loses all of them at once.
    """

    spec: PoolSpec
    samples: Sequence[PoolSample]
    past: Past
    reasons: tuple[Reason, ...]
    is_waking: bool = False
    is_sleeping: bool = False

    @property
    def sample(self) -> PoolSample:
        """The present."""
        return self.samples[-1]

    @property
    def wanted(self) -> int:
        """What the signals ask for; without any, what there is."""
        return 0 if self.is_sleeping else asked(self.reasons, self.sample.target)

    @property
    def known_wanted(self) -> int:
        """What those signals ask for that are known."""
        return asked([reason for reason in self.reasons if reason.signal != STALE], 0)

    @property
    def floor(self) -> int:
        """Never fewer than this."""
        return max([self.sample.least, *(each.wanted for each in self.reasons if each.signal == SCHEDULE)])

    @property
    def for_own(self) -> float:
        """Replicas for the work that this pool has taken; not in whole ones where more is known."""
        return max((self._exact(each) for each in self.reasons if each.signal not in (SCHEDULE, WAIT)), default=0.0)

    @property
    def for_waiting(self) -> int:
        """Replicas for the work that waits, which any pool of the group may take."""
        return max((each.wanted for each in self.reasons if each.signal == WAIT), default=0)

    @property
    def capacity(self) -> float | None:
        """What a replica does in a second, if that was seen."""
        return capacity_per_replica(self.samples)

    def _exact(self, reason: Reason) -> float:
        if reason.signal == LOAD and self.sample.load is not None:
            exact = replicas_for(self.sample, self.sample.load, self.spec)
        elif reason.signal == QUEUE:
            exact = places_taken(self.sample, self.spec)
        else:
            return reason.wanted
        return min(max(exact, reason.wanted - 1), reason.wanted)

    def because(self, reason: Reason, *, is_waking: bool = False, is_sleeping: bool = False) -> Self:
        """With one more reason."""
        return replace(self, reasons=(*self.reasons, reason), is_waking=is_waking, is_sleeping=is_sleeping)
