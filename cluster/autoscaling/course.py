"""What came of a policy over a trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cluster.simulator.outcome import percentile
from deployments.autoscaling.sample import Decision
from deployments.autoscaling.trace import Trace


@dataclass(frozen=True, slots=True)
class Summary:
    """``replica_seconds`` were asked for, at a price of ``cost``; ``most_replicas`` at one time. Requests waited up to
    ``p99_wait_seconds``, and for ``seconds_above_objective`` longer than the objective allows. ``changes`` of size were
    made, of which ``oscillations`` in the other direction than the one before.
    """

    policy: str
    replica_seconds: float
    cost: float
    most_replicas: int
    p99_wait_seconds: float | None
    seconds_above_objective: float
    changes: int
    oscillations: int


@dataclass(frozen=True, slots=True)
class Course:
    """A ``policy``'s decisions in ``trace``, with the samples that they were made from. ``waits`` are the seconds that
    requests waited or, in a recorded trace, were predicted to.
    """

    policy: str
    trace: Trace
    waits: Sequence[float]

    def summary(self) -> Summary:
        """In figures; the last decision holds for no time."""
        sizes = {pool: [each.verdicts[pool].after for each in self._of(pool)] for pool in self.trace.specs}
        found = [turns(numbers) for numbers in sizes.values()]
        seconds = {pool: self._replica_seconds(pool) for pool in self.trace.specs}
        return Summary(
            policy=self.policy,
            replica_seconds=sum(seconds.values()),
            cost=sum(spec.price * seconds[pool] / 3600 for pool, spec in self.trace.specs.items()),
            most_replicas=max((max(numbers, default=0) for numbers in sizes.values()), default=0),
            p99_wait_seconds=percentile(sorted(self.waits), 0.99) if self.waits else None,
            seconds_above_objective=sum(self._seconds_above(pool) for pool in self.trace.specs),
            changes=sum(len(changes) for changes, _ in found),
            oscillations=sum(count for _, count in found),
        )

    def explained(self) -> list[tuple[float, str, str]]:
        """The decisions that changed something: when, which pool, and why."""
        return [
            (decision.at, pool, verdict.explain())
            for decision in self.trace.decisions
            for pool, verdict in decision.verdicts.items()
            if verdict.before != verdict.after
        ]

    def _of(self, pool: str) -> list[Decision]:
        return [each for each in self.trace.decisions if pool in each.verdicts]

    def _replica_seconds(self, pool: str) -> float:
        return sum(each.verdicts[pool].after * (after.at - each.at) for each, after in pairwise(self._of(pool)))

    def _seconds_above(self, pool: str) -> float:
        allowed = self.trace.specs[pool].objective.first_commit_seconds
        samples = self.trace.samples.get(pool, ())
        return sum(after.at - each.at for each, after in pairwise(samples) if each.wait is None or each.wait > allowed)


def turns(sizes: Sequence[int]) -> tuple[list[int], int]:
    """The changes of a number, and how many of them go in the other direction than the one before."""
    changes = [after - before for before, after in pairwise(sizes) if after != before]
    return changes, sum((before > 0) != (after > 0) for before, after in pairwise(changes))
