"""Replicas killed at random under load, and what the clients saw of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from tests.chaos.history import Fault, FaultKind, Story, extra_work, faults, percentile, recovery, tally
from tests.chaos.load import Load
from tests.chaos.nemesis import Kill, Nemesis, until

LOSSES: tuple[FaultKind, ...] = ("lost", "terminal")
REPETITIONS: tuple[FaultKind, ...] = ("repeated", "numbering")
DIFFERENCES: tuple[FaultKind, ...] = ("different", "disagreement")


@dataclass(frozen=True, slots=True)
class Weather:
    """``kills`` of replicas of ``model`` with pauses between them, in seconds; each leaves ``spared`` ready ones.

    A request that dies twice without getting any further is given up, so the pauses are longer than most recoveries.
    """

    model: str
    kills: int
    least_pause: float = 1.5
    most_pause: float = 2.5
    spared: int = 1


@dataclass(frozen=True, slots=True)
class Damage:
    """What came of it. Recovery is from a kill to the next text of a request that the replica ran, in seconds;
    only what another run told counts.

    ``extra_told`` is the share of position-forwards that answers own up to beyond those of undisturbed runs;
    ``extra_done`` counts what the engines did, so the steps that died with a replica too.
    """

    kills: int
    kills_that_hit: int
    requests: int
    requests_hit: int
    recoveries: int
    refused: int
    lost: int
    duplicated: int
    different: int
    recovery_p50: float
    recovery_p99: float
    recovery_worst: float
    extra_told: float
    extra_done: float
    seconds: float
    faults: tuple[Fault, ...]

    @property
    def is_bearable(self) -> bool:
        """Whether each accepted request got its answer, once and unchanged."""
        return self.lost == self.duplicated == self.different == 0

    def as_json(self) -> Mapping[str, object]:
        """For a report."""
        return asdict(self)


async def storm(load: Load, nemesis: Nemesis, weather: Weather) -> Damage:
    """One run of ``weather`` over ``load``."""
    kills: list[Kill] = []
    before = 0
    begun = time.monotonic()

    async def rage() -> None:
        nonlocal before, begun
        before, begun = nemesis.position_forwards(weather.model), time.monotonic()
        for _ in range(weather.kills):
            await asyncio.sleep(nemesis.pause(weather.least_pause, weather.most_pause))
            await until(lambda: len(nemesis.ready(weather.model)) > weather.spared, "the return of a replica")
            kills.append(nemesis.kill_any(weather.model))

    stories = await load.during(rage())
    done = nemesis.position_forwards(weather.model) - before
    recoveries = list(_recoveries(stories, kills, nemesis.runs()))
    return _damage(stories, kills, recoveries, done, time.monotonic() - begun)


def _damage(
    stories: Sequence[Story], kills: Sequence[Kill], recoveries: Sequence[float], done: int, seconds: float
) -> Damage:
    found = [fault for story in stories for fault in faults(story)]
    counted = tally(found)
    return Damage(
        kills=len(kills),
        kills_that_hit=sum(bool(kill.requests) for kill in kills),
        requests=len(stories),
        requests_hit=len(frozenset[str]().union(*(kill.requests for kill in kills))),
        recoveries=len(recoveries),
        refused=counted.get("refused", 0),
        lost=sum(counted.get(kind, 0) for kind in LOSSES),
        duplicated=sum(counted.get(kind, 0) for kind in REPETITIONS),
        different=sum(counted.get(kind, 0) for kind in DIFFERENCES),
        recovery_p50=percentile(recoveries, 0.5),
        recovery_p99=percentile(recoveries, 0.99),
        recovery_worst=percentile(recoveries, 1.0),
        extra_told=extra_work(stories),
        extra_done=done / sum(story.expected.position_forwards for story in stories) - 1.0,
        seconds=seconds,
        faults=tuple(found),
    )


def _recoveries(
    stories: Sequence[Story], kills: Sequence[Kill], runs: Mapping[str, Sequence[float]]
) -> Iterator[float]:
    """A request that is killed again before it gets any further recovers from both kills at once."""
    named = {story.id: story for story in stories}
    for kill in kills:
        for request in kill.requests & named.keys():
            seconds = recovery(named[request], kill.at, runs.get(request, ()))
            if seconds is not None:
                yield seconds
