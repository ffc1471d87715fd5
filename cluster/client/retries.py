"""Whether to send a request again, and after how long: decided by what came of it alone.

What the service says goes first: ``x-should-retry`` decides, ``retry-after-ms`` and then ``retry-after`` name the wait.
Where it says nothing, statuses that pass are tried again after a back-off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

PASSING = frozenset({408, 409, 429, 500, 502, 503, 504})
"""Statuses of failures that may be over at the next attempt."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What came of an attempt. ``headers`` have lower-case names.

    Without a ``status`` no answer came, or not all of it; ``is_harmless`` says whether sending the request again then
    can do nothing twice.
    """

    status: int | None
    headers: Mapping[str, str]
    is_harmless: bool = True


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Up to ``retries`` further attempts. Times are in seconds.

    A service that wants a longer wait than ``longest_wait`` has refused for good. The k-th back-off (from 0) is
    ``first_backoff * 2**k``, ``longest_backoff`` at most, less up to the share ``jitter`` of it.
    """

    retries: int = 2
    longest_wait: float = 120.0
    first_backoff: float = 0.5
    longest_backoff: float = 8.0
    jitter: float = 0.25

    def wait(self, failed: int, failure: Failure, now: float, draw: float) -> float | None:
        """The wait behind the attempt number ``failed`` (from 0), or ``None`` when the failure is final.

        ``now`` is in Unix seconds, ``draw`` in [0, 1).
        """
        if failed >= self.retries or not _may_pass(failure):
            return None
        told = told_wait(failure.headers, now)
        if told is not None:
            return told if told <= self.longest_wait else None
        # The exponent is bounded since a power beyond the range of floats is an error.
        return min(self.first_backoff * 2.0 ** min(failed, 64), self.longest_backoff) * (1.0 - self.jitter * draw)


def told_wait(headers: Mapping[str, str], now: float) -> float | None:
    """The wait in seconds that the service names, if it does; a date that has passed is none at all."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    return seconds if seconds is not None or value is None else _until(value, now)


def _may_pass(failure: Failure) -> bool:
    match failure.headers.get("x-should-retry"):
        case "true":
            return True
        case "false":
            return False
    return failure.is_harmless if failure.status is None else failure.status in PASSING


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if number >= 0 and math.isfinite(number) else None


def _until(date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    # A date in the form of RFC 850 or asctime comes without a zone, and is in UTC (RFC 9110, section 5.6.7).
    return max((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now, 0.0)
