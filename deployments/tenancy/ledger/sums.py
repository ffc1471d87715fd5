"""Days, and the sums of entries by day and model. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

from deployments.tenancy.ledger.ledger import LedgerEntry, UsageRow

COUNTERS = tuple(field.name for field in fields(UsageRow) if field.name not in ("day", "tenant", "model"))
"""What is summed."""


def day_of(time: float) -> str:
    """The UTC day of a Unix time, as ``YYYY-MM-DD``."""
    return datetime.fromtimestamp(time, UTC).date().isoformat()


def days_between(first_day: str, last_day: str) -> Iterator[str]:
    """The days from the first to the last one, both included."""
    first, last = date.fromisoformat(first_day), date.fromisoformat(last_day)
    for offset in range((last - first).days + 1):
        yield (first + timedelta(days=offset)).isoformat()


def row_of(entry: LedgerEntry) -> UsageRow:
    """The sum of this entry alone."""
    counts = {name: getattr(entry, name) for name in COUNTERS}
    return UsageRow(day_of(entry.ended_at), entry.tenant, entry.model, **counts)


def added(total: UsageRow, row: UsageRow) -> UsageRow:
    """``total`` with the counters of ``row`` added."""
    return replace(total, **{name: getattr(total, name) + getattr(row, name) for name in COUNTERS})


def rows_of(entries: Iterable[LedgerEntry]) -> list[UsageRow]:
    """The sums of ``entries``, by day, tenant and model in this order."""
    rows: dict[tuple[str, str, str], UsageRow] = {}
    for row in map(row_of, entries):
        place = (row.day, row.tenant, row.model)
        rows[place] = added(rows[place], row) if place in rows else row
    return [rows[place] for place in sorted(rows)]
