"""What a request would meet at the limits of its tenant, told from what is left of them. Pure, and takes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.errors import RateLimitExceeded, ServingError, WorkExceedsLimit
from deployments.gateway.admin.shapes import ChargeBody, Json
from deployments.tenancy.limits.limiter import Level, Levels
from deployments.tenancy.limits.verdict import kind_of

MINUTE = 60.0

ASKED = {
    "requests_per_minute": "requests",
    "tokens_per_minute": "tokens",
    "work_per_minute": "work",
    "concurrency": "concurrency",
    "work_per_day": "work",
    "work_per_month": "work",
}
"""The part of a charge that each limit counts."""


@dataclass(frozen=True, slots=True)
class _Obstacle:
    name: str
    level: Level
    asked: int

    @property
    def refusal(self) -> type[ServingError]:
        return kind_of(self.name, self.level, self.asked)

    @property
    def seconds(self) -> float | None:
        """When it is gone, at the latest; never for one that no wait helps against."""
        if self.refusal is WorkExceedsLimit:
            return None
        if self.refusal is RateLimitExceeded:
            return (self.asked - self.level.remaining) * MINUTE / self.level.limit
        return self.level.reset_seconds


def verdict(levels: Levels, charge: ChargeBody) -> Json:
    """Whether a request with that charge would be admitted; if not, by which limit, as which error, and until when.

    Of several limits in its way it is the one that is in the way longest.
    """
    asked = charge.model_dump()
    obstacles = [
        _Obstacle(name, level, asked[ASKED[name]])
        for name, level in levels.by_limit.items()
        if asked[ASKED[name]] > level.remaining
    ]
    told: Json = {"object": "verdict", "mode": levels.mode, "admitted": not obstacles}
    if not obstacles:
        return {**told, "code": None, "limit": None, "retry_after": None}
    longest = max(obstacles, key=lambda each: float("inf") if each.seconds is None else each.seconds)
    return {**told, "code": longest.refusal.code, "limit": longest.name, "retry_after": longest.seconds}
