from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from deployments.tenancy.limits.buckets import MINUTE, Bucket

LIMITS = st.integers(1, 200)
STEPS = st.lists(
    st.tuples(st.integers(0, 30_000), st.integers(1, 80), st.integers(0, 4), st.integers(0, 80)),
    min_size=1,
    max_size=40,
)


def test_a_bucket_drains_by_its_limit_in_a_minute() -> None:
    bucket = Bucket(limit=7).charged(7)
    assert [bucket.after(elapsed).free for elapsed in (0, 8571, 8572, 17_142, 17_143, 59_999, 60_000)] == [
        *(0, 0, 1, 1, 2, 6, 7)
    ]


@given(limit=LIMITS, used=st.integers(0, 200), asked=st.integers(0, 200))
def test_the_wait_is_the_least_that_is_enough(limit: int, used: int, asked: int) -> None:
    bucket = Bucket(limit).charged(min(used, limit))
    amount = min(asked, limit)
    wait = bucket.wait(amount)
    assert bucket.after(wait).free >= amount
    assert wait == 0 or bucket.after(wait - 1).free < amount


@dataclass
class _Admitted:
    at: int
    amount: int
    mark: int
    spent: int
    settles_at: int
    is_settled: bool = False


@given(limit=LIMITS, steps=STEPS)
def test_no_window_admits_more_than_a_bucket_and_what_drains_in_it(
    limit: int, steps: list[tuple[int, int, int, int]]
) -> None:
    """Charges come after random waits; each is settled some charges later, and what it did not spend given back."""
    bucket, now, admitted = Bucket(limit), 0, list[_Admitted]()
    for number, (wait, amount, delay, spent) in enumerate(steps):
        now += wait
        bucket = bucket.after(wait)
        for each in admitted:
            if not each.is_settled and each.settles_at <= number:
                bucket = bucket.refunded(each.amount - each.spent, each.mark)
                each.amount, each.is_settled = each.spent, True
                assert 0 <= bucket.used <= limit * MINUTE
        if amount <= bucket.free:
            bucket = bucket.charged(amount)
            admitted.append(_Admitted(now, amount, bucket.mark, min(spent, amount), number + delay))
        for first in admitted:
            inside = sum(each.amount for each in admitted if each.at >= first.at)
            assert inside <= limit + Fraction(limit * (now - first.at), MINUTE)


@given(limit=LIMITS, steps=STEPS)
def test_nothing_of_a_bucket_is_lost(limit: int, steps: list[tuple[int, int, int, int]]) -> None:
    """Who waits as long as it is told is admitted, so that a bucket that is always asked runs at its limit."""
    bucket, now, total = Bucket(limit), 0, 0
    for _, asked, _, _ in steps:
        amount = min(asked, limit)
        wait = bucket.wait(amount)
        now, bucket, total = now + wait, bucket.after(wait).charged(amount), total + amount
    assert total * MINUTE >= limit * now


@given(limit=LIMITS, other=st.none() | LIMITS, used=st.integers(0, 200), elapsed=st.integers(0, 90_000))
def test_the_mark_of_all_charges_never_falls(limit: int, other: int | None, used: int, elapsed: int) -> None:
    bucket = Bucket(limit).charged(min(used, limit))
    for later in (bucket.after(elapsed), bucket.under(other), bucket.refunded(used, bucket.mark)):
        assert later.mark == bucket.mark
        assert 0 <= later.used <= bucket.used
