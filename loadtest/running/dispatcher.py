"""The open loop: every request begins when it is due, whatever has become of those before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loadtest.arrivals.arrival import Arrival
from loadtest.exchanges.account import Clock


def dispatch(
    arrivals: Sequence[Arrival], clock: Clock, sleep: Callable[[float], object], hand: Callable[[Arrival], object]
) -> None:
    """Hand over each of ``arrivals``, which are in order, at its moment on ``clock``, or at once when that is over."""
    for arrival in arrivals:
        ahead = arrival.at - clock()
        if ahead > 0:
            sleep(ahead)
        hand(arrival)
