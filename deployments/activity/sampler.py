"""Reads the sources, each in a thread of its own: one that hangs holds neither the others nor those who ask."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deployments.activity.ladder import COUNTERS, TensorActivity, choose
from deployments.activity.source import Reading, Source
from deployments.autoscaling.config import ActivitySource
from deployments.telemetry.metrics import Metrics
from deployments.telemetry.names import TENSOR_ACTIVITY, TENSOR_AGREEMENT, TENSOR_LOAD

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0
"""How long a source that is being read is waited for; its thread ends with the process."""


@dataclass(slots=True)
class Rung:
    """A source and what it said last; ``None`` after it could not be read."""

    source: Source
    reading: Reading | None = None
    failing: bool = False

    def read(self, now: float) -> None:
        """Read it once. Of errors in a row the first is logged."""
        try:
            self.reading = self.source.read(now)
        except Exception as error:
            if not self.failing:
                logger.warning("tensor activity cannot be read from %s: %s", self.source.name, error)
            self.reading, self.failing = None, True
        else:
            self.failing = False


class Sampler:
    """``latest`` is the activity by the first of ``sources`` that has been read within ``stale_seconds``.

    What is measured is recorded in ``metrics`` with ``labels``; a value that is not known any more is not a number.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        plateaus: Mapping[ActivitySource, float],
        stale_seconds: float,
        metrics: Metrics,
        labels: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rungs = [Rung(source) for source in sources]
        self._plateaus, self._stale_seconds, self._clock = plateaus, stale_seconds, clock
        self._metrics, self._labels = metrics, labels
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, interval_seconds: float) -> None:
        """Read each source at once, and then in this interval."""
        for rung in self._rungs:
            thread = threading.Thread(
                target=self._run, args=(rung, interval_seconds), name=f"activity-{rung.source.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def latest(self) -> TensorActivity | None:
        """The activity now; ``None`` where no source says anything. Never waits."""
        readings = {rung.source.name: rung.reading for rung in self._rungs}
        known = {name: reading for name, reading in readings.items() if reading is not None}
        return choose(known, list(readings), self._plateaus, self._clock() - self._stale_seconds)

    def sample(self) -> None:
        """Read all sources, one after the other."""
        for rung in self._rungs:
            self._sample(rung)

    def close(self) -> None:
        """Read no more, and close the sources that are not being read."""
        self._closing.set()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)

    def _run(self, rung: Rung, interval_seconds: float) -> None:
        while not self._closing.is_set():
            self._sample(rung)
            self._closing.wait(interval_seconds)
        rung.source.close()

    def _sample(self, rung: Rung) -> None:
        """Read one source, and record what is known then."""
        rung.read(self._clock())
        latest = self.latest()
        value = math.nan if rung.reading is None else rung.reading.value
        self._metrics.record(TENSOR_ACTIVITY, value, **self._labels, source=rung.source.name)
        self._metrics.record(TENSOR_LOAD, math.nan if latest is None else latest.load, **self._labels)
        if any(other.source.name in COUNTERS for other in self._rungs):
            agreement = None if latest is None else latest.agreement
            self._metrics.record(TENSOR_AGREEMENT, math.nan if agreement is None else agreement, **self._labels)
