"""What a limit per minute counts: a bucket that fills up with charges and drains at the limit's pace. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

MINUTE = 60_000
"""Milliseconds. One unit of a limit has as many parts, so that a bucket drains by its limit's parts a millisecond."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Holds a minute's worth of ``limit`` at most; of that ``used`` parts are taken. All numbers are whole, so that
    counting here and on a server gives the same.

    What has left the bucket, by time or by a refund, is ``gone``. The sum of both never falls, and so says where in the
    order of all charges one of them ends: its ``mark``. Time drains the oldest charge first, and a refund counts as if
    it did too. So a refund gives back only what time has not given back before, and what is charged in any window,
    less the refunds, is at most a whole bucket and what drained meanwhile.
    """

    limit: int | None = None
    used: int = 0
    gone: int = 0

    @property
    def mark(self) -> int:
        """Where the last charge ends."""
        return self.used + self.gone

    @property
    def free(self) -> int:
        """Whole units that may be charged. A bucket without a limit has none to tell."""
        return ((self.limit or 0) * MINUTE - self.used) // MINUTE

    def wait(self, amount: int) -> int:
        """Milliseconds until ``amount`` units are free; they must fit the whole bucket."""
        missing = self.used + (amount - (self.limit or 0)) * MINUTE
        return -(-missing // self.limit) if self.limit and missing > 0 else 0

    def after(self, elapsed: int) -> Bucket:
        """The bucket some milliseconds later."""
        return self._less(min(self.used, min(elapsed, MINUTE) * (self.limit or 0)))

    def under(self, limit: int | None) -> Bucket:
        """The bucket with another limit: full if more was taken than fits, empty without a limit."""
        return replace(self._less(max(0, self.used - (limit or 0) * MINUTE)), limit=limit)

    def charged(self, amount: int) -> Bucket:
        """The bucket with ``amount`` units more; without a limit nothing is counted."""
        return self if self.limit is None else replace(self, used=self.used + amount * MINUTE)

    def refunded(self, amount: int, mark: int) -> Bucket:
        """Take back ``amount`` units of the charge that ended at ``mark``."""
        return self._less(max(0, min(amount * MINUTE, mark - self.gone)))

    def _less(self, parts: int) -> Bucket:
        return replace(self, used=self.used - parts, gone=self.gone + parts)
