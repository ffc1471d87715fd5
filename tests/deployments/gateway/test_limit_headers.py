from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import InsufficientQuota, RateLimitExceeded, ServingError, Unavailable
from deployments.gateway.limit_headers import duration, headers_of, headers_of_refusal
from deployments.tenancy.limits.counts import Counts
from deployments.tenancy.limits.limiter import Charge, Level, Levels
from deployments.tenancy.limits.verdict import refusal_of
from deployments.tenancy.tenant import Limits

ALL = {
    "requests_per_minute": Level(60, 59, 1.0),
    "tokens_per_minute": Level(40_000, 0, 60.0),
    "work_per_minute": Level(1_000_000, 999_999, 0.00006),
    "concurrency": Level(4, 3, 1.0),
    "work_per_day": Level(10**9, 5, 3723.0),
}
TOLD = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-limit-tokens": "40000",
    "x-ratelimit-remaining-tokens": "0",
    "x-ratelimit-reset-tokens": "1m0s",
    "x-ratelimit-limit-work": "1000000",
    "x-ratelimit-remaining-work": "999999",
    "x-ratelimit-reset-work": "1ms",
}
SPENT = Counts(at=1_795_348_800_000).under(Limits(requests_per_minute=2)).reserved(Charge(2, 0, 9), 1)[0]


def test_the_limits_per_minute_are_told() -> None:
    assert headers_of(Levels(ALL)) == TOLD


def test_a_limit_that_is_not_set_is_not_told() -> None:
    assert headers_of(Levels({})) == {}
    assert headers_of(Levels({"tokens_per_minute": Level(9, 8, 0.0)})) == {
        "x-ratelimit-limit-tokens": "9",
        "x-ratelimit-remaining-tokens": "8",
        "x-ratelimit-reset-tokens": "0s",
    }


@pytest.mark.parametrize("mode", ["local", "allow"])
def test_limits_that_are_not_counted_together_say_so(mode: str) -> None:
    assert headers_of(Levels(ALL, mode)) == {**TOLD, "x-dllm-degraded": "limits"}
    assert headers_of(Levels({}, mode)) == {"x-dllm-degraded": "limits"}


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (Limits(requests_per_minute=2), RateLimitExceeded),
        (Limits(requests_per_minute=2, work_per_day=10), InsufficientQuota),
    ],
)
def test_a_refusal_tells_what_is_left_also_after_pickling(limits: Limits, kind: type[ServingError]) -> None:
    error = refusal_of(SPENT, limits, Charge(1, 0, 5), 1, held=0)
    assert type(error) is kind
    for each in (error, pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own
        assert headers_of_refusal(each) == {
            "x-ratelimit-limit-requests": "2",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1m0s",
        }


def test_a_refusal_by_this_gateway_alone_says_so() -> None:
    error = refusal_of(SPENT, Limits(requests_per_minute=2), Charge(1), 1, held=0)
    assert error is not None
    error.details["limits_mode"] = "local"
    assert headers_of_refusal(error)["x-dllm-degraded"] == "limits"


def test_other_errors_tell_nothing_of_limits() -> None:
    assert headers_of_refusal(Unavailable()) == {}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.0001, "1ms"),
        (0.012, "12ms"),
        (0.9991, "1s"),
        (1.0, "1s"),
        (1.001, "2s"),
        (59.1, "1m0s"),
        (360.0, "6m0s"),
        (3600.0, "1h0m0s"),
        (3723.0, "1h2m3s"),
        (90_061.0, "25h1m1s"),
    ],
)
def test_durations_are_written_as_openai_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.integers(0, 10**9))
def test_who_waits_as_long_as_a_duration_says_has_waited_long_enough(milliseconds: int) -> None:
    text = duration(milliseconds / 1000)
    hours, _, rest = text.rpartition("h")
    minutes, _, seconds = rest.rpartition("m") if not rest.endswith("ms") else ("", "", "0s")
    told = int(hours or 0) * 3_600_000 + int(minutes or 0) * 60_000 + int(seconds.removesuffix("s")) * 1000
    told += int(text.removesuffix("ms")) if text.endswith("ms") else 0
    assert 0 <= told - milliseconds < 1000
