from __future__ import annotations

import pytest

from deployments.errors import InvalidRequest
from deployments.tenancy.ledger.period import MOST_DAYS, Period, period_of
from deployments.tenancy.ledger.sums import days_between
from tests.deployments.tenancy.ledger.entries import HOUR, NOON


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, Period("2026-11-01", "2026-11-22")),
        ("2026-10-15", None, Period("2026-10-15", "2026-11-22")),
        (None, "2026-02-03", Period("2026-02-01", "2026-02-03")),
        ("2024-02-29", "2024-02-29", Period("2024-02-29", "2024-02-29")),
        ("2026-09-21", "2026-11-21", Period("2026-09-21", "2026-11-21")),
    ],
)
def test_what_is_not_said_is_the_month_to_date(start: str | None, end: str | None, expected: Period) -> None:
    assert period_of(start, end, NOON) == expected


def test_the_month_turns_at_midnight_utc() -> None:
    assert period_of(None, None, NOON + 8.5 * 24 * HOUR - 1).end == "2026-11-30"
    assert period_of(None, None, NOON + 8.5 * 24 * HOUR) == Period("2026-12-01", "2026-12-01")


@pytest.mark.parametrize(
    ("start", "end", "parameter"),
    [
        ("yesterday", None, "start"),
        ("20261101", None, "start"),
        ("2026-W46-1", None, "start"),
        ("2026-11-01T00:00:00", None, "start"),
        ("2026-02-29", None, "start"),
        ("", None, "start"),
        ("\u0662026-11-01", None, "start"),
        (None, "2026-13-01", "end"),
        (None, "2026-11-1", "end"),
        ("2026-11-23", "2026-11-22", "start"),
        ("2027-01-01", None, "start"),
        ("2026-09-20", "2026-11-21", "start"),
        ("0001-01-01", "9999-12-31", "start"),
    ],
)
def test_what_is_no_period_is_refused_by_name(start: str | None, end: str | None, parameter: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        period_of(start, end, NOON)
    assert refused.value.parameter == parameter
    assert str(refused.value).startswith(f"{parameter}:")


def test_the_longest_period_has_its_days() -> None:
    longest = period_of("2026-09-21", "2026-11-21", NOON)
    days = list(days_between(longest.start, longest.end))
    assert (len(days), days[0], days[-1]) == (MOST_DAYS, "2026-09-21", "2026-11-21")
