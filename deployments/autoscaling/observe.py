"""What Ray Serve's controller is told becomes the samples that decisions are made from. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deployments.autoscaling.report import QueueReport, ReplicaReport
from deployments.autoscaling.sample import PoolSample, PoolSpec

BURN_SECONDS = 60.0
"""The answers of so long a time tell the burn rate of an objective."""


@dataclass(frozen=True, slots=True)
class PoolSight:
    """What is known of a pool's deployment at a moment: its running replicas, each with its last report if it has
    made one, how many are wanted, and ``queued`` requests that have left their queue and have no replica yet.
    """

    replicas: Mapping[str, ReplicaReport | None]
    target: int
    least: int
    most: int
    queued: int = 0


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """What waits in a queue, and the burn rate of its objective; ``None`` while no answer has ended."""

    waiting: int
    backlog: float
    burn: float | None


@dataclass(slots=True)
class Queues:
    """What the gateways have reported of the queues that they share. A gateway that is gone counts no more."""

    stale_seconds: float
    _reports: dict[str, dict[str, deque[QueueReport]]] = field(default_factory=dict)

    def hear(self, gateways: Mapping[str, Mapping[str, QueueReport]]) -> None:
        """The last reports of all gateways that there are, by gateway and queue."""
        for gone in self._reports.keys() - gateways.keys():
            del self._reports[gone]
        for gateway, reports in gateways.items():
            kept = self._reports.setdefault(gateway, {})
            for queue, report in reports.items():
                _keep(kept.setdefault(queue, deque()), report)

    def load(self, spec: PoolSpec, now: float) -> QueueLoad | None:
        """That of the queue of the pool's group; ``None`` when no gateway has said anything of it lately.

        All gateways say the same of what waits, but for the time in between, so the most is taken; the answers that
        ended are each gateway's own.
        """
        series = [kept[spec.group] for kept in self._reports.values() if spec.group in kept]
        fresh = [each for each in series if now - each[-1].at <= self.stale_seconds]
        if not fresh:
            return None
        fullest = max((each[-1] for each in fresh), key=lambda report: (report.backlog, report.waiting))
        met = sum(each[-1].met - each[0].met for each in fresh)
        missed = sum(each[-1].missed - each[0].missed for each in fresh)
        ended = met + missed
        burn = missed / ended / (1.0 - spec.objective.share) if ended else None
        return QueueLoad(fullest.waiting, fullest.backlog, burn)


def pool_sample(
    at: float,
    sight: PoolSight,
    queue: QueueLoad | None,
    stale_seconds: float,
    earlier: Mapping[str, ReplicaReport],
) -> PoolSample:
    """The pool at the moment ``at``. ``earlier`` reports of its replicas tell what has been done since."""
    known = {name: report for name, report in sight.replicas.items() if report is not None}
    fresh = {name: report for name, report in known.items() if at - report.at <= stale_seconds}
    loads = [report.load for report in fresh.values() if report.load is not None]
    waiting = sight.queued + sum(report.waiting for report in fresh.values())
    backlog = sum(report.backlog for report in fresh.values())
    return PoolSample(
        at=at,
        replicas=len(sight.replicas),
        target=sight.target,
        least=sight.least,
        most=sight.most,
        reporting=len(fresh),
        load=sum(loads) / len(loads) if loads else None,
        running=sum(report.running for report in fresh.values()),
        waiting=None if queue is None else waiting + queue.waiting,
        backlog=None if queue is None else backlog + queue.backlog,
        rate=sum(report.rate for report in fresh.values()) or None,
        burn=None if queue is None else queue.burn,
        refresh_share=_refresh_share(fresh, earlier),
    )


def _refresh_share(fresh: Mapping[str, ReplicaReport], earlier: Mapping[str, ReplicaReport]) -> float | None:
    pairs = [(earlier[name], report) for name, report in fresh.items() if name in earlier]
    positions = sum(after.positions - before.positions for before, after in pairs)
    refresh = sum(after.refresh - before.refresh for before, after in pairs)
    return min(1.0, max(0.0, refresh / positions)) if positions > 0 else None


def _keep(series: deque[QueueReport], report: QueueReport) -> None:
    """Append a report that is news, and drop what is older than the window but for the one that it begins with."""
    if series and report.at <= series[-1].at:
        return
    series.append(report)
    while len(series) > 1 and series[1].at <= report.at - BURN_SECONDS:
        series.popleft()


def numbers_of(points: Mapping[str, Mapping[str, tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """By replica what it returned last: of each metric and replica the last point, as time and value, is given.

    A metric that a replica did not return the last time is left out, though Ray repeats its last value.
    """
    latest: dict[str, float] = {}
    for by_replica in points.values():
        for replica, (at, _) in by_replica.items():
            latest[replica] = max(at, latest.get(replica, at))
    numbers: dict[str, dict[str, float]] = {replica: {} for replica in latest}
    for metric, by_replica in points.items():
        for replica, (at, value) in by_replica.items():
            if at == latest[replica]:
                numbers[replica][metric] = value
    return numbers


def report_of(numbers: Mapping[str, float]) -> ReplicaReport | None:
    """The report in what a replica returned; ``None`` when there is none in it."""
    try:
        return ReplicaReport.of(numbers)
    except (KeyError, TypeError, IndexError, ValueError, OverflowError):
        return None


def queues_of(numbers: Mapping[str, float]) -> Mapping[str, QueueReport]:
    """The reports in what a gateway returned; none when it returned something else."""
    try:
        return QueueReport.all_of(numbers)
    except (KeyError, TypeError, ValueError, OverflowError):
        return {}


def least_busy(busy: Mapping[str, ReplicaReport], names: Iterable[str]) -> list[str]:
    """``names`` with those that have least to do first; of whom nothing is known counts as the busiest."""

    def work(name: str) -> tuple[bool, float, int]:
        report = busy.get(name)
        return (True, 0.0, 0) if report is None else (False, report.backlog, report.running + report.waiting)

    return sorted(names, key=work)
