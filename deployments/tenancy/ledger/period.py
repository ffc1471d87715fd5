"""Which days of usage are asked for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from deployments.errors import InvalidRequest
from deployments.tenancy.ledger.sums import day_of

MOST_DAYS = 62
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """UTC days as ``YYYY-MM-DD``, the first and the last one included."""

    start: str
    end: str


def period_of(start: str | None, end: str | None, now: float) -> Period:
    """The days from ``start`` to ``end``; without an end to today, and without a start from the first of the month.

    Raises :class:`InvalidRequest` for what is no day, and for periods that run backwards or over more than
    ``MOST_DAYS``.
    """
    last = _day(day_of(now) if end is None else end, "end")
    first = last.replace(day=1) if start is None else _day(start, "start")
    if first > last:
        raise InvalidRequest(f"start: {first} is after the end, {last}.", parameter="start")
    if (last - first).days >= MOST_DAYS:
        raise InvalidRequest(f"start: usage is told for up to {MOST_DAYS} days at a time.", parameter="start")
    return Period(first.isoformat(), last.isoformat())


def _day(text: str, parameter: str) -> date:
    try:
        if not DAY.fullmatch(text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{parameter}: a day is written as YYYY-MM-DD.", parameter=parameter) from None
