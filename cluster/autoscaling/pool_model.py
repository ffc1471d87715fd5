"""A pool in virtual time, in which load follows demand and replicas follow what is asked for after a cold start.

All replicas are alike and hold equal parts of the requests that run, as with an ideal router.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReplicaModel:
    """A step of ``running`` requests takes ``floor_seconds`` and ``position_seconds`` for each of ``positions`` of each
    of them. A request takes ``steps`` steps.
    """

    places: int = 16
    positions: int = 32
    steps: int = 20
    floor_seconds: float = 0.04
    position_seconds: float = 2e-4

    def steps_per_second(self, running: float) -> float:
        """Of a replica with that many requests."""
        return 1 / (self.floor_seconds + running * self.positions * self.position_seconds)

    def rate(self, running: float) -> float:
        """Position-forwards in a second."""
        return running * self.positions * self.steps_per_second(running)

    def load(self, running: float) -> float:
        """The rate as a share of that of a full replica."""
        return min(1.0, self.rate(running) / self.rate(self.places))

    @property
    def requests_per_second(self) -> float:
        """What a full replica finishes."""
        return self.rate(self.places) / (self.positions * self.steps)


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that waited ``wait`` seconds until ``at``."""

    at: float
    wait: float


class PoolModel:
    """``arrivals`` are the moments at which requests come, in order. ``begun`` are those that got a place."""

    def __init__(
        self, model: ReplicaModel, arrivals: Sequence[float], replicas: int, cold_start_seconds: float
    ) -> None:
        self.now = 0.0
        self.replicas = self.target = replicas
        self.begun: list[Begun] = []
        self._model, self._cold_start_seconds = model, cold_start_seconds
        self._arrivals = deque(arrivals)
        self._starting: deque[float] = deque()
        self._waiting: deque[float] = deque()
        self._ends: list[float] = []
        self._steps = self._busy = 0.0

    @property
    def running(self) -> int:
        """Requests in places."""
        return len(self._ends)

    @property
    def waiting(self) -> tuple[float, ...]:
        """When those came that have no place yet."""
        return tuple(self._waiting)

    @property
    def backlog(self) -> float:
        """Position-forwards of all who run or wait."""
        steps = sum(end - self._steps for end in self._ends) + len(self._waiting) * self._model.steps
        return steps * self._model.positions

    @property
    def rate(self) -> float:
        """Position-forwards in a second of all replicas, as long as they are as full as they are."""
        return self.replicas * self._model.rate(self._each)

    def scale(self, target: int) -> None:
        """Have ``target`` replicas: more after the cold start, fewer at once, those that are starting first. Requests
        of replicas that go move to others.
        """
        for _ in range(target - self.target):
            self._starting.append(self.now + self._cold_start_seconds)
        for _ in range(self.target - target):
            if self._starting:
                self._starting.pop()
            else:
                self.replicas -= 1
        self.target = target
        self._admit()

    def advance(self, seconds: float) -> float:
        """Let that much time pass; the mean load in it of the replicas that run at its end."""
        end, self._busy = self.now + seconds, 0.0
        while self.now < end:
            self._pass(min(end, self._next()))
            while self._starting and self._starting[0] <= self.now:
                self._starting.popleft()
                self.replicas += 1
            while self._arrivals and self._arrivals[0] <= self.now:
                self._waiting.append(self._arrivals.popleft())
            while self._ends and self._ends[0] <= self._steps + 1e-9:
                heapq.heappop(self._ends)
            self._admit()
        return min(1.0, self._busy / seconds / self.replicas) if self.replicas else 0.0

    @property
    def _each(self) -> float:
        return self.running / self.replicas if self.replicas else 0.0

    def _next(self) -> float:
        due = [queue[0] for queue in (self._starting, self._arrivals) if queue]
        if self._ends and self.replicas:
            due.append(self.now + (self._ends[0] - self._steps) / self._model.steps_per_second(self._each))
        return min(due, default=float("inf"))

    def _pass(self, until: float) -> None:
        seconds = until - self.now
        if self.replicas:
            self._steps += seconds * self._model.steps_per_second(self._each)
        self._busy += seconds * self.replicas * self._model.load(self._each)
        self.now = until

    def _admit(self) -> None:
        while self._waiting and self.running < self.replicas * self._model.places:
            self.begun.append(Begun(self.now, self.now - self._waiting.popleft()))
            heapq.heappush(self._ends, self._steps + self._model.steps)
