"""The requests that one process asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import gevent
from gevent.pool import Group
from gevent.queue import SimpleQueue

from loadtest.arrivals.arrival import Arrival
from loadtest.exchanges.account import Account
from loadtest.exchanges.perform import perform
from loadtest.exchanges.wire import Place, Wire
from loadtest.figures.sample import Sample
from loadtest.running.dispatcher import dispatch

UNFINISHED = "unfinished"
LEAD_SECONDS = 1.0
"""The first request is due so long after the start, when the first clients are there."""


class Asker:
    """Hands each request to the next client when it is due. Those that are under way at the end are given up.

    ``tell`` is called with each sample. The load starts when this is made.
    """

    def __init__(self, place: Place, arrivals: Sequence[Arrival], ends: float, tell: Callable[[Sample], None]) -> None:
        self.place = place
        self._arrivals, self._ends, self._tell = arrivals, ends, tell
        self._start = time.perf_counter() + LEAD_SECONDS
        self._left = {arrival.number: arrival for arrival in arrivals}
        self._due: SimpleQueue[Arrival] = SimpleQueue()
        self._asked = Group()
        self._greenlets = (gevent.spawn(self._dispatch), gevent.spawn(self._give_up))

    @property
    def outstanding(self) -> int:
        """How many requests are to come or under way."""
        return len(self._left)

    def clock(self) -> float:
        """Seconds since the start of the load."""
        return time.perf_counter() - self._start

    def serve(self, wire: Wire) -> None:
        """Be a client: ask whatever is due next, and the one after it before the answer is there. Does not return."""
        while True:
            arrival = self._due.get()
            wire.hold()
            self._asked.spawn(self._ask, wire, arrival)

    def stop(self) -> None:
        """Give up what is left."""
        gevent.killall(self._greenlets)
        self._asked.kill()
        for arrival in list(self._left.values()):
            self._end(Account(arrival, self.clock, began=self.clock()).sample(UNFINISHED))

    def _dispatch(self) -> None:
        dispatch(self._arrivals, self.clock, gevent.sleep, self._due.put)

    def _give_up(self) -> None:
        gevent.sleep(self._ends - self.clock())
        gevent.spawn(self.stop)

    def _ask(self, wire: Wire, arrival: Arrival) -> None:
        try:
            with suppress(gevent.GreenletExit):
                self._end(perform(wire, arrival, self.clock))
        finally:
            wire.release()

    def _end(self, sample: Sample) -> None:
        if self._left.pop(sample.number, None) is not None:
            self._tell(sample)
