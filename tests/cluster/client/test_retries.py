from __future__ import annotations

from itertools import count

import pytest

from cluster.client.retries import Failure, RetryPolicy, told_wait

NOW = 1_700_000_000.0
POLICY = RetryPolicy()
LATER = "Tue, 14 Nov 2023 22:13:50 GMT"  # NOW + 30 s
BEFORE = "Tue, 14 Nov 2023 22:13:10 GMT"


def refused(status: int, **headers: str) -> Failure:
    return Failure(status, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("failure", "wait"),
    [
        # Without a word of the service, statuses that pass are tried again after a back-off.
        (refused(408), 0.5),
        (refused(409), 0.5),
        (refused(429), 0.5),
        (refused(500), 0.5),
        (refused(502), 0.5),
        (refused(503), 0.5),
        (refused(504), 0.5),
        # The others are final.
        (refused(400), None),
        (refused(401), None),
        (refused(402), None),
        (refused(403), None),
        (refused(404), None),
        (refused(413), None),
        (refused(422), None),
        (refused(499), None),
        (refused(501), None),
        # x-should-retry decides against the status.
        (refused(503, x_should_retry="false"), None),
        (refused(503, x_should_retry="false", retry_after="1"), None),
        (refused(400, x_should_retry="true"), 0.5),
        (refused(429, x_should_retry="perhaps"), 0.5),
        # A wait does not make a status pass.
        (refused(402, retry_after="1"), None),
        # Milliseconds go before seconds, seconds before the back-off.
        (refused(429, retry_after_ms="1234", retry_after="9"), 1.234),
        (refused(429, retry_after="9"), 9.0),
        (refused(429, retry_after="0"), 0.0),
        (refused(429, retry_after=LATER), 30.0),
        (refused(429, retry_after=BEFORE), 0.0),
        # What is no wait says nothing.
        (refused(429, retry_after_ms="soon", retry_after="9"), 9.0),
        (refused(429, retry_after_ms="-1"), 0.5),
        (refused(429, retry_after_ms="nan"), 0.5),
        (refused(429, retry_after="inf"), 0.5),
        (refused(429, retry_after="in a while"), 0.5),
        # A wait above the bound is a refusal; one at the bound is not.
        (refused(503, retry_after="120"), 120.0),
        (refused(503, retry_after_ms="120001"), None),
        (refused(503, x_should_retry="true", retry_after="121"), None),
        # Without an answer it depends on whether anything could happen twice.
        (Failure(None, {}, is_harmless=True), 0.5),
        (Failure(None, {}, is_harmless=False), None),
    ],
)
def test_the_wait_behind_a_first_failure(failure: Failure, wait: float | None) -> None:
    assert POLICY.wait(0, failure, NOW, 0.0) == pytest.approx(wait)


def test_the_back_off_doubles_up_to_its_bound_and_is_shortened_by_a_share_at_random() -> None:
    policy = RetryPolicy(retries=2000)
    waits = [policy.wait(failed, refused(503), NOW, 0.0) for failed in range(6)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert policy.wait(1999, refused(503), NOW, 0.0) == 8.0
    assert policy.wait(1, refused(503), NOW, 0.5) == 1.0 * (1 - 0.25 * 0.5)


def test_a_told_wait_is_kept_to_exactly() -> None:
    assert {POLICY.wait(0, refused(429, retry_after_ms="700"), NOW, draw / 8) for draw in range(8)} == {0.7}


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_attempts_are_counted(retries: int) -> None:
    policy = RetryPolicy(retries=retries)
    waits = (policy.wait(failed, refused(503), NOW, 0.0) for failed in count())
    assert next(failed for failed, wait in enumerate(waits) if wait is None) == retries


def test_dates_of_any_form_are_in_utc() -> None:
    assert told_wait({"retry-after": "Tuesday, 14-Nov-23 22:13:50 GMT"}, NOW) == 30.0
    assert told_wait({"retry-after": "Tue Nov 14 22:13:50 2023"}, NOW) == 30.0
    assert told_wait({}, NOW) is None
