"""Identifiers: sortable ids, and the ids a client may bring."""

from __future__ import annotations

import re
from collections.abc import Callable

Clock = Callable[[], float]
"""Unix time in seconds."""

Entropy = Callable[[int], bytes]
"""``count -> count`` unpredictable bytes; ``os.urandom`` outside tests."""

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BROUGHT_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def ulid(now: float, entropy: Entropy) -> str:
    """48 bits of milliseconds and 80 random bits as 26 characters that sort by time (github.com/ulid/spec)."""
    value = int(now * 1000) << 80 | int.from_bytes(entropy(10), "big")
    return "".join(CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def ulid_time(text: str) -> float:
    """The time of a :func:`ulid`, to the millisecond."""
    milliseconds = 0
    for digit in text[:10]:
        milliseconds = milliseconds << 5 | CROCKFORD.index(digit)
    return milliseconds / 1000


def brought_id(value: str | None) -> str | None:
    """The client's own id, if it is one that is safe to log and to return."""
    return value if value is not None and BROUGHT_ID.fullmatch(value) else None
