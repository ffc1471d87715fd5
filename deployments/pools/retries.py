"""How fast lost runs are repeated, so that a failing pool is not given more to do by its failures. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

SHARE = 0.1
"""Of all runs that may be repeated ones at any rate."""

REFILL_SECONDS = 10.0


@dataclass(slots=True)
class RetryBudget:
    """A bucket of ``size`` tokens, full at first. A repeated run takes one, each other run brings back ``SHARE`` of
    one, and time the whole bucket in ``REFILL_SECONDS``.

    ``size`` is best what one replica runs and holds, so that its loss alone delays nothing. Who finds the bucket empty
    owes a token and waits until time has brought it: runs are delayed and none is lost. Times are seconds of one clock.
    """

    size: float
    tokens: float = field(init=False)
    filled_at: float | None = None

    def __post_init__(self) -> None:
        self.tokens = self.size

    def began(self) -> None:
        """A run began that repeats none."""
        self.tokens = min(self.size, self.tokens + SHARE)

    def repeat(self, now: float) -> float:
        """Take a token; the seconds to wait before the run is repeated."""
        rate = self.size / REFILL_SECONDS
        elapsed = 0.0 if self.filled_at is None else max(0.0, now - self.filled_at)
        self.tokens = min(self.size, self.tokens + elapsed * rate) - 1.0
        self.filled_at = now
        return max(0.0, -self.tokens / rate)
