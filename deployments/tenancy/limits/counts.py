"""What is counted of one tenant, and how that changes. Pure: a reservation that is refused changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deployments.tenancy.limits.buckets import Bucket
from deployments.tenancy.limits.limiter import Charge
from deployments.tenancy.limits.periods import Period, day_of, month_of
from deployments.tenancy.tenant import Limits

NO_BUCKET = Bucket()
NO_PERIOD = Period()


@dataclass(frozen=True, slots=True)
class Taken:
    """What is kept of a reservation: its charge and places, where each bucket's part of it ends (0 where none was
    charged), and the day and month that it counts in.
    """

    charge: Charge
    places: int
    requests: int
    tokens: int
    work: int
    day: int
    month: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The buckets and budgets of a tenant ``at`` a time, in milliseconds since 1970. Budgets are counted whether they
    are limited or not, so that a limit that is set in the middle of a month holds for all of it.
    """

    at: int = 0
    requests: Bucket = NO_BUCKET
    tokens: Bucket = NO_BUCKET
    work: Bucket = NO_BUCKET
    day: Period = NO_PERIOD
    month: Period = NO_PERIOD

    def after(self, now: int) -> Counts:
        """The counts at a later time. A clock that steps back stands still here."""
        now = max(now, self.at)
        elapsed = now - self.at
        return Counts(
            at=now,
            requests=self.requests.after(elapsed),
            tokens=self.tokens.after(elapsed),
            work=self.work.after(elapsed),
            day=self.day.at(day_of(now)),
            month=self.month.at(month_of(now)),
        )

    def under(self, limits: Limits) -> Counts:
        """The counts with these limits in force from now on."""
        return replace(
            self,
            requests=self.requests.under(limits.requests_per_minute),
            tokens=self.tokens.under(limits.tokens_per_minute),
            work=self.work.under(limits.work_per_minute),
        )

    def reserved(self, charge: Charge, places: int) -> tuple[Counts, Taken]:
        """The counts with ``charge``, and what is to be kept of it."""
        counts = replace(
            self,
            requests=self.requests.charged(charge.requests),
            tokens=self.tokens.charged(charge.tokens),
            work=self.work.charged(charge.work),
            day=replace(self.day, spent=self.day.spent + charge.work),
            month=replace(self.month, spent=self.month.spent + charge.work),
        )
        requests, tokens, work = (
            0 if each.limit is None else each.mark for each in (counts.requests, counts.tokens, counts.work)
        )
        return counts, Taken(charge, places, requests, tokens, work, self.day.number, self.month.number)

    def settled(self, taken: Taken, spent: Charge) -> Counts:
        """The counts after what was not ``spent`` of a reservation is given back, to the periods it was taken from."""
        work = max(0, taken.charge.work - spent.work)
        return replace(
            self,
            requests=self.requests.refunded(max(0, taken.charge.requests - spent.requests), taken.requests),
            tokens=self.tokens.refunded(max(0, taken.charge.tokens - spent.tokens), taken.tokens),
            work=self.work.refunded(work, taken.work),
            day=self.day.refunded(taken.day, work),
            month=self.month.refunded(taken.month, work),
        )
