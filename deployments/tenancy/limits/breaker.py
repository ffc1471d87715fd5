"""Whether a service that has failed is called again. Pure: times come from the caller, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

PAUSE_SECONDS = 1.0
"""How long nobody calls after a failure; then one call tries, and the next one as much later."""


@dataclass(slots=True)
class Breaker:
    """Keeps those away who would only wait for another failure."""

    retry_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the last that was heard is a failure."""
        return self.retry_at is not None

    def admits(self, now: float) -> bool:
        """Whether to call. After a failure one caller at a time is told so, and the others wait for what it finds."""
        if self.retry_at is None:
            return True
        if now < self.retry_at:
            return False
        self.retry_at = now + PAUSE_SECONDS
        return True

    def failed(self, now: float) -> None:
        """A call failed."""
        self.retry_at = now + PAUSE_SECONDS

    def succeeded(self) -> None:
        """A call was answered."""
        self.retry_at = None
