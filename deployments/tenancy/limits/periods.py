"""Days and months of UTC, by their numbers. Pure; times are in milliseconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

DAY = 86_400_000
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Period:
    """The day or month with a ``number``, and the work units that were ``spent`` in it."""

    number: int = 0
    spent: int = 0

    def at(self, number: int) -> Period:
        """The period with that number: this one, or a new one in which nothing is spent."""
        return self if number == self.number else Period(number)

    def refunded(self, number: int, amount: int) -> Period:
        """The period after a refund of what was spent in the one with that number."""
        return Period(self.number, self.spent - amount) if number == self.number else self


def day_of(now: int) -> int:
    """The number of the day: days since 1970."""
    return now // DAY


def month_of(now: int) -> int:
    """The number of the month: months since March of the year 0."""
    date = datetime.fromtimestamp(now / 1000, UTC)
    return date.year * _MONTHS + date.month - 3


def end_of_day(now: int) -> int:
    """When the next day begins, in Unix seconds."""
    return (day_of(now) + 1) * DAY // 1000


def end_of_month(now: int) -> int:
    """When the next month begins, in Unix seconds."""
    year, month = divmod(month_of(now) + 3, _MONTHS)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp())
