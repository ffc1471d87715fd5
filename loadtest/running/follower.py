"""The process that asks: each worker, or the only process there is."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gevent.event import Event

from loadtest.arrivals.arrival import Arrival
from loadtest.arrivals.schedule import digest, part
from loadtest.exchanges.wire import Place, Wire
from loadtest.figures.sample import Sample
from loadtest.running.asker import Asker
from loadtest.running.events import RequestEvent, fire
from loadtest.running.messages import Beginning, Progress
from loadtest.scenario.scenario import Scenario

log = logging.getLogger(__name__)


class Follower:
    """Asks its part of ``arrivals`` when it is told to begin. ``event`` is Locust's, which is told of each sample."""

    def __init__(self, scenario: Scenario, arrivals: Sequence[Arrival], event: RequestEvent) -> None:
        self._scenario, self._arrivals, self._event = scenario, arrivals, event
        self._samples: list[Sample] = []
        self._fault = ""
        self._asker: Asker | None = None
        self._begun = Event()

    def begin(self, beginning: Beginning) -> None:
        """Start the load. What an earlier one has left is forgotten."""
        self.stop()
        self._samples, self._fault = [], ""
        if beginning.digest != digest(self._arrivals):
            self._fault = "this worker has another scenario or trace than the master"
            log.error(self._fault)
            return
        scenario = self._scenario
        deadlines = {each.name: each.deadline_seconds for each in scenario.tenants if each.deadline_seconds is not None}
        place = Place(beginning.base_url, beginning.grpc_address, scenario.models, beginning.keys, deadlines)
        ends = scenario.load_seconds + scenario.grace_seconds
        self._asker = Asker(place, part(self._arrivals, beginning.index, beginning.count), ends, self._tell)
        self._begun.set()

    def wire(self) -> Wire:
        """The connections of a new client; waits for the beginning."""
        return Wire(self._there().place)

    def serve(self, wire: Wire) -> None:
        """Be a client. Does not return."""
        self._there().serve(wire)

    def progress(self) -> Progress:
        """What has been seen since this was asked before."""
        samples, self._samples = self._samples, []
        outstanding = len(self._arrivals) if self._asker is None else self._asker.outstanding
        return Progress(samples, outstanding, self._fault)

    def stop(self) -> None:
        """Give up what is left of the load."""
        if self._asker is not None:
            self._asker.stop()
        self._asker = None
        self._begun.clear()

    def _there(self) -> Asker:
        """What has begun; waits for it."""
        while self._asker is None:
            self._begun.wait()
        return self._asker

    def _tell(self, sample: Sample) -> None:
        self._samples.append(sample)
        fire(self._event, sample)
