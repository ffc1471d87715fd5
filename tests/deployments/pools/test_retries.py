from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.pools.retries import REFILL_SECONDS, SHARE, RetryBudget


def test_the_loss_of_one_replica_delays_nothing() -> None:
    budget = RetryBudget(8)
    assert [budget.repeat(0.0) for _ in range(8)] == [0.0] * 8
    assert budget.repeat(0.0) == REFILL_SECONDS / 8


def test_what_comes_in_a_storm_is_spread_evenly() -> None:
    budget = RetryBudget(10)
    delays = [budget.repeat(0.0) for _ in range(30)]
    assert delays[:10] == [0.0] * 10
    assert delays[10:] == [float(number) for number in range(1, 21)]


def test_time_fills_the_bucket_and_no_more() -> None:
    budget = RetryBudget(4)
    for _ in range(4):
        budget.repeat(0.0)
    assert budget.repeat(REFILL_SECONDS / 4) == 0.0
    assert [budget.repeat(1000.0) for _ in range(5)] == [0.0] * 4 + [REFILL_SECONDS / 4]


def test_runs_that_repeat_none_bring_back_their_share() -> None:
    budget = RetryBudget(4)
    for _ in range(4):
        budget.repeat(0.0)
    for _ in range(round(1 / SHARE) + 1):
        budget.began()
    assert budget.repeat(0.0) == 0.0
    assert budget.repeat(0.0) > 0.0


@settings(deadline=None)
@given(
    size=st.integers(1, 50),
    steps=st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=60),
)
def test_repeated_runs_stay_within_the_budget(size: int, steps: list[tuple[bool, float]]) -> None:
    """Repeated runs that have begun by any time are at most the bucket, what time brought, and the share of others."""
    budget, now, others = RetryBudget(size), 0.0, 0
    begun: list[float] = []
    for repeats, pause in steps:
        now += pause
        if repeats:
            begun.append(now + budget.repeat(now))
            allowed = size + begun[-1] * size / REFILL_SECONDS + others * SHARE
            assert sum(at <= begun[-1] for at in begun) <= allowed + 1e-6
        else:
            budget.began()
            others += 1
