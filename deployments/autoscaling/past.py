"""What earlier decisions say of a pool: what it asked for, and how its size changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from deployments.autoscaling.sample import Decision, Reason, Verdict

COST = "cost"
"""The signal of what a pool is asked for as one of several that can do the same work."""

LIMITS = frozenset({"max", "min", "pace", "panic", "hold"})
"""The signals of reasons that do not ask for replicas, but change what is asked for."""


@dataclass(frozen=True, slots=True)
class Past:
    """The verdicts on one pool until ``now`` with their times, the latest first."""

    now: float
    verdicts: Sequence[tuple[float, Verdict]]

    @classmethod
    def of(cls, pool: str, decisions: Sequence[Decision], now: float, seconds: float) -> Past:
        """What ``decisions``, the oldest first, say of ``pool`` for the last ``seconds``, and once before."""
        found: list[tuple[float, Verdict]] = []
        for each in reversed(decisions):
            if each.at <= now and pool in each.verdicts:
                found.append((each.at, each.verdicts[pool]))
            if found and found[-1][0] <= now - seconds:
                break
        return cls(now, found)

    @property
    def target(self) -> int | None:
        """The number that was decided last."""
        return self.verdicts[0][1].after if self.verdicts else None

    def covers(self, seconds: float) -> bool:
        """Whether there are decisions as far back as that."""
        return seconds <= 0 or (bool(self.verdicts) and self.verdicts[-1][0] <= self.now - seconds)

    def wanted(self, seconds: float) -> list[int]:
        """What was asked for within the last ``seconds``."""
        return [wanted_of(verdict) for verdict in self._within(seconds)]

    def sizes(self, seconds: float) -> list[int]:
        """What there was before each of the decisions of the last ``seconds``."""
        return [verdict.before for verdict in self._within(seconds)]

    def since(self, signal: str) -> float | None:
        """Seconds since a decision last had a reason of that ``signal``."""
        return next(
            (self.now - at for at, verdict in self.verdicts if any(each.signal == signal for each in verdict.reasons)),
            None,
        )

    def _within(self, seconds: float) -> list[Verdict]:
        recent = takewhile(lambda entry: entry[0] > self.now - seconds, self.verdicts)
        return [verdict for _, verdict in recent]


def wanted_of(verdict: Verdict) -> int:
    """What the signals asked for, whatever was decided then; without a signal, what there was."""
    return asked(verdict.reasons, verdict.before)


def asked(reasons: Sequence[Reason], otherwise: int) -> int:
    """The most that a signal asks for; among pools that share their work, the part of this one."""
    parts = [reason.wanted for reason in reasons if reason.signal == COST]
    if parts:
        return parts[-1]
    return max((reason.wanted for reason in reasons if reason.signal not in LIMITS), default=otherwise)
