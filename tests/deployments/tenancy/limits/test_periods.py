from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from deployments.tenancy.limits.periods import Period, day_of, end_of_day, end_of_month, month_of

TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2399, 12, 30), timezones=st.just(UTC))


@given(TIMES)
def test_days_and_months_end_where_the_calendar_says(time: datetime) -> None:
    now = int(time.timestamp() * 1000)
    day, month = (datetime.fromtimestamp(end(now), UTC) for end in (end_of_day, end_of_month))
    assert (day.hour, day.minute, day.second, month.day, month.hour) == (0, 0, 0, 1, 0)
    assert 0 < (day - time).total_seconds() <= 86_401
    assert (month.year * 12 + month.month) - (time.year * 12 + time.month) == 1
    for number_of, end in ((day_of, end_of_day), (month_of, end_of_month)):
        assert number_of(end(now) * 1000 - 1) == number_of(now)
        assert number_of(end(now) * 1000) == number_of(now) + 1


def test_a_period_begins_with_nothing_spent_and_keeps_its_own_refunds() -> None:
    period = Period(5, 70)
    assert period.at(5) == period
    assert period.at(6) == Period(6, 0)
    assert period.refunded(5, 20) == Period(5, 50)
    assert period.refunded(4, 20) == period
