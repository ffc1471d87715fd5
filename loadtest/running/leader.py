"""The process that says when the load begins, and what came of it: the master, or the only process there is."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent

from cluster.client.admin import AdminClient
from cluster.client.errors import ClientError
from deployments.document import ConfigError
from loadtest.arrivals.arrival import Arrival
from loadtest.arrivals.schedule import digest
from loadtest.arrivals.shapes import SHAPES
from loadtest.figures.results import results
from loadtest.figures.sample import Sample
from loadtest.gates.verdict import verdicts
from loadtest.report.environment import environment_of
from loadtest.report.report import Report
from loadtest.report.writing import write
from loadtest.running.disturbances import Disturbed, disturb
from loadtest.running.messages import Beginning, Progress
from loadtest.running.reach import Reach
from loadtest.running.tenancy import Tenancy
from loadtest.running.watch import Watch
from loadtest.scenario.scenario import Scenario

log = logging.getLogger(__name__)

SPARE_SECONDS = 15.0
"""How much longer than the load and its grace the workers may take to report the last samples."""

PASSED, FAILED, UNABLE = 0, 1, 2
"""Exit statuses: every gate has passed, some has not, and there was no load."""

Begin = Callable[[str, Beginning], None]


@dataclass(slots=True)
class Run:
    """One load test from its start on: who has how much before them, and what has been seen."""

    started: float
    began_at: datetime
    outstanding: dict[str, int]
    samples: list[Sample]
    processor_percent: float = 0.0


class Leader:
    """Makes the tenants, has the ``processes`` begin, and writes the report when they have ended."""

    def __init__(self, scenario: Scenario, arrivals: Sequence[Arrival], reach: Reach, folder: Path) -> None:
        self._scenario, self._arrivals, self._reach, self._folder = scenario, arrivals, reach, folder
        self._admin = None if reach.admin_url is None else AdminClient(reach.admin_url, reach.admin_key or "")
        self._tenancy = Tenancy(self._admin)
        self._watch = None if self._admin is None else Watch(self._admin)
        self._run: Run | None = None
        self._beside: list[gevent.Greenlet[..., Any]] = []
        self._fault = ""

    def start(self, processes: Sequence[str], begin: Begin) -> None:
        """Begin: ``begin`` is called for each of ``processes``. What prevents that is a fault, and no load follows."""
        scenario, reach = self._scenario, self._reach
        self._fault = ""
        try:
            self._tenancy.prepare(scenario.tenants, scenario.load_seconds + scenario.grace_seconds)
        except (ConfigError, ClientError) as error:
            self._fault = str(error)
            return
        known, count = digest(self._arrivals), len(processes)
        self._run = Run(time.perf_counter(), datetime.now(UTC), dict.fromkeys(processes, 1), [])
        for index, name in enumerate(processes):
            begin(name, Beginning(index, count, known, reach.base_url, reach.grpc_address, self._tenancy.keys))
        self._beside = [gevent.spawn(disturb, scenario.disturbances, self.clock, gevent.sleep)]
        if self._watch is not None:
            self._beside.append(gevent.spawn(self._watch.keep_looking, gevent.sleep))

    def clock(self) -> float:
        """Seconds since the start, or 0 before it."""
        return 0.0 if self._run is None else time.perf_counter() - self._run.started

    def take(self, process: str, progress: Progress, processor_percent: float) -> None:
        """What a process has to tell."""
        if self._run is None:
            return
        self._fault = self._fault or progress.fault
        self._run.samples += progress.samples
        self._run.outstanding[process] = progress.outstanding
        self._run.processor_percent = max(self._run.processor_percent, processor_percent)

    def clients(self, processes: int) -> int | None:
        """How many clients there are to be, each process having one at least; ``None`` when the load is over."""
        scenario = self._scenario
        if self._fault or (self._run is not None and not any(self._run.outstanding.values())):
            return None
        if self.clock() > scenario.load_seconds + scenario.grace_seconds + SPARE_SECONDS:
            return None
        passed = min(1.0, self.clock() / scenario.load_seconds)
        level = 1.0 if scenario.trace is not None else SHAPES[scenario.arrivals.shape](passed)
        return max(1, processes, math.ceil(scenario.clients * level))

    def stop(self) -> int:
        """The exit status, once the report is written and what was made for the test is taken back."""
        status = UNABLE
        disturbed = self._join()
        if self._fault:
            log.error(self._fault)
        elif self._run is not None:
            status = self._report(self._run, disturbed)
        self._run = None
        self.close()
        return status

    def close(self) -> None:
        """Take back what was made for the test."""
        try:
            self._tenancy.close()
        except ClientError as error:
            log.error("the keys of the test are not revoked: %s", error)

    def _join(self) -> list[Disturbed]:
        if not self._beside:
            return []
        first, *others = self._beside
        gevent.killall(others)
        first.join(timeout=SPARE_SECONDS)
        self._beside = []
        done: list[Disturbed] = first.value or []
        return done

    def _report(self, run: Run, disturbed: Sequence[Disturbed]) -> int:
        scenario = self._scenario
        due = [arrival.at for arrival in self._arrivals]
        max_lag = None if self._watch is None else self._watch.max_lag
        found = results(scenario, run.samples, due, max_lag)
        failed = len(scenario.disturbances) - sum(each.status == 0 for each in disturbed)
        report = Report(
            scenario=scenario,
            environment=environment_of(self._reach.base_url, len(run.outstanding), run.began_at, run.processor_percent),
            digest=digest(self._arrivals),
            results=found,
            verdicts=verdicts(scenario.gates, found, failed),
            disturbed=disturbed,
            samples=sorted(run.samples, key=lambda sample: sample.number),
        )
        write(report, self._folder)
        log.info("%s is %s: %s", scenario.name, "passed" if report.passed else "failed", self._folder)
        return PASSED if report.passed else FAILED
