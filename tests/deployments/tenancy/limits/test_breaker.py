from __future__ import annotations

from deployments.tenancy.limits.breaker import PAUSE_SECONDS, Breaker


def test_without_a_failure_all_are_admitted() -> None:
    breaker = Breaker()
    assert all(breaker.admits(float(now)) for now in range(5))
    assert not breaker.is_open


def test_after_a_failure_one_at_a_time_tries_until_one_succeeds() -> None:
    breaker = Breaker()
    breaker.failed(10.0)
    assert breaker.is_open
    assert not breaker.admits(10.0 + PAUSE_SECONDS - 0.001)
    assert [breaker.admits(10.0 + PAUSE_SECONDS) for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert not breaker.is_open
    assert breaker.admits(10.0 + PAUSE_SECONDS)


def test_a_trial_that_tells_nothing_is_followed_by_another() -> None:
    breaker = Breaker()
    breaker.failed(10.0)
    assert breaker.admits(10.0 + PAUSE_SECONDS)
    assert not breaker.admits(10.0 + 2 * PAUSE_SECONDS - 0.001)
    assert breaker.admits(10.0 + 2 * PAUSE_SECONDS)


def test_a_trial_that_fails_lengthens_the_pause() -> None:
    breaker = Breaker()
    breaker.failed(10.0)
    assert breaker.admits(11.0)
    breaker.failed(11.4)
    assert not breaker.admits(12.3)
    assert breaker.admits(12.4)
