"""What the counts of a tenant mean: what is left of each limit, and what a request that does not fit is told. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from deployments.errors import (
    ConcurrencyExceeded,
    InsufficientQuota,
    RateLimitExceeded,
    ServingError,
    WorkExceedsLimit,
)
from deployments.tenancy.limits.counts import Counts
from deployments.tenancy.limits.limiter import Charge, Level, Levels
from deployments.tenancy.limits.periods import end_of_day, end_of_month
from deployments.tenancy.tenant import Limits

PLACE_SECONDS = 1.0
"""When to ask for a place again, since nobody knows when the next request ends."""

BUDGETS = ("work_per_day", "work_per_month")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One limit that is set, what is asked of it, and the seconds until that would be left."""

    name: str
    level: Level
    amount: int
    wait: float

    @property
    def told(self) -> str:
        return f"The limit {self.name} is {self.level.limit}: {self.amount} asked, {self.level.remaining} left."


def kind_of(name: str, level: Level, asked: int) -> type[ServingError]:
    """What a reservation is refused with that asks the limit ``name`` for more than is left of it."""
    if asked > level.limit:
        return WorkExceedsLimit
    if name in BUDGETS:
        return InsufficientQuota
    return ConcurrencyExceeded if name == "concurrency" else RateLimitExceeded


def levels_of(counts: Counts, limits: Limits, held: int) -> Levels:
    """What is left of each limit while ``held`` places are taken; the counts have to be under these limits."""
    return Levels({each.name: each.level for each in _asked(counts, limits, Charge(), 0, held)})


def refusal_of(counts: Counts, limits: Limits, charge: Charge, places: int, held: int) -> ServingError | None:
    """What a reservation is refused with; ``None`` when it fits. Of several limits in its way it is told of the one
    that is in the way longest.

    The error's ``details`` name the ``limit``, and what is left of all ``limits``.
    """
    asked = list(_asked(counts, limits, charge, places, held))
    details: dict[str, Any] = {"limits": {each.name: asdict(each.level) for each in asked}}
    for each in asked:
        if kind_of(each.name, each.level, each.amount) is WorkExceedsLimit:
            message = f"{each.told} No wait would help: ask for less at once."
            return WorkExceedsLimit(message, details={"limit": each.name, **details})
    short = [each for each in asked if each.amount > each.level.remaining]
    if not short:
        return None
    longest = max(short, key=lambda each: each.wait)
    details = {"limit": longest.name, **details}
    kind = kind_of(longest.name, longest.level, longest.amount)
    if kind is InsufficientQuota:
        return InsufficientQuota(longest.told, details={"reset_at": round(counts.at / 1000 + longest.wait), **details})
    return kind(f"{longest.told} Retry in {longest.wait:g} s.", retry_after=longest.wait, details=details)


def _asked(counts: Counts, limits: Limits, charge: Charge, places: int, held: int) -> Iterator[_Asked]:
    """Each limit that is set."""
    buckets = (
        ("requests_per_minute", counts.requests, charge.requests),
        ("tokens_per_minute", counts.tokens, charge.tokens),
        ("work_per_minute", counts.work, charge.work),
    )
    for name, bucket, amount in buckets:
        if bucket.limit is not None:
            level = Level(bucket.limit, bucket.free, bucket.wait(bucket.limit) / 1000)
            yield _Asked(name, level, amount, bucket.wait(amount) / 1000)
    if limits.concurrency is not None:
        level = Level(limits.concurrency, max(0, limits.concurrency - held), PLACE_SECONDS if held else 0.0)
        yield _Asked("concurrency", level, places, PLACE_SECONDS)
    budgets = (
        ("work_per_day", limits.work_per_day, counts.day, end_of_day(counts.at)),
        ("work_per_month", limits.work_per_month, counts.month, end_of_month(counts.at)),
    )
    for name, budget, period, end in budgets:
        if budget is not None:
            wait = (end * 1000 - counts.at) / 1000
            level = Level(budget, max(0, budget - period.spent), wait if period.spent else 0.0)
            yield _Asked(name, level, charge.work, wait)
