"""How often an address may come with keys that nobody has."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network

from deployments.errors import TooManyFailedAttempts
from deployments.tenancy.recent import Recent

_PERIOD_SECONDS = 60.0
_IPV6_PREFIX = 64


class FailedAttempts:
    """A bucket for each address: it holds ``per_minute`` failures and loses them at that rate.

    Of each address there is one number: the time at which its bucket is empty. An IPv6 client has a whole network to
    choose its addresses from, so the network counts as one.
    """

    def __init__(self, clock: Callable[[], float], per_minute: int, max_addresses: int) -> None:
        self._clock, self._interval = clock, _PERIOD_SECONDS / per_minute
        self._empty_at: Recent[str, float] = Recent(max_addresses)

    def check(self, address: str) -> None:
        """Raise :class:`TooManyFailedAttempts`, with the wait that helps, when the bucket is full."""
        empty_at = self._empty_at.find(_origin(address)) or 0.0
        wait = empty_at - self._clock() - (_PERIOD_SECONDS - self._interval)
        # Less than a microsecond is the rounding of the sums.
        if wait > 1e-6:
            raise TooManyFailedAttempts(retry_after=wait)

    def count(self, address: str) -> None:
        """Note a failure."""
        origin, now = _origin(address), self._clock()
        self._empty_at.keep(origin, max(now, self._empty_at.get(origin, now)) + self._interval)


def _origin(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ip_network((parsed, _IPV6_PREFIX), strict=False))
