"""A replica in virtual time: a simulated engine that tells of itself as a worker does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cluster.simulator.clock import VirtualClock
from deployments.replica.engine_thread import FIGURES_SECONDS
from deployments.replica.figures import Rate, figures_of
from deployments.run import Figures, Progress
from dllm_worker.interface import EngineLimits
from dllm_worker.request import Event, Finish, Request
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.engine import SimulatedEngine
from dllm_worker.spec import ModelSpec

Tell = Callable[[str, Progress], None]
"""Carries a message of the request of that id to whoever sent it."""


@dataclass(slots=True)
class _Reader:
    tell: Tell
    told: Figures | None = None
    admitted: bool = False


class VirtualReplica:
    """Runs what it is given, step by step, on ``clock``; ``steps`` are the position-forwards of each."""

    def __init__(
        self, name: str, spec: ModelSpec, device: SimulatedDevice, limits: EngineLimits, clock: VirtualClock
    ) -> None:
        self.name = name
        self.steps: list[int] = []
        self._clock = clock
        self._engine = SimulatedEngine(spec, device, limits, sleep=self._pass, observe=self.steps.append)
        self._readers: dict[str, _Reader] = {}
        self._rate = Rate()
        self.figures, self._looked = figures_of(self._engine.load(), 0.0), 0.0
        self._seconds = 0.0
        self._busy = False

    @property
    def ongoing(self) -> int:
        """Requests that run or wait here."""
        return len(self._readers)

    def take(self, request: Request, tell: Tell) -> None:
        """Run ``request``; the first message says who does."""
        self._engine.add(request)
        self._readers[request.id] = _Reader(tell)
        self._tell(request.id, Progress(admitted=False, replica=self.name))
        if not self._busy:
            self._begin()

    def check_integrity(self) -> None:
        """Raise unless nothing is left."""
        self._engine.check_integrity()
        if self._readers or self._engine.has_work:
            raise RuntimeError(f"{self.name} still has {self.ongoing} requests")

    def _begin(self) -> None:
        self._busy, self._seconds = True, 0.0
        events = self._engine.step()
        self._clock.after(self._seconds, lambda: self._end(events))

    def _end(self, events: list[Event]) -> None:
        self._rate.count(self.steps[-1], self._seconds)
        if self._clock.now - self._looked >= FIGURES_SECONDS or not self._engine.has_work:
            self.figures, self._looked = figures_of(self._engine.load(), self._rate.value), self._clock.now
        for request_id, own in _by_request(events):
            self._tell(request_id, Progress(events=own))
            if isinstance(own[-1], Finish):
                del self._readers[request_id]
        for request_id, reader in self._readers.items():
            if not reader.admitted and self._engine.admitted(request_id):
                self._tell(request_id, Progress())
        self._busy = False
        if self._engine.has_work:
            self._begin()

    def _tell(self, request_id: str, progress: Progress) -> None:
        """Figures come with a message when they are others than its reader was told last."""
        reader = self._readers[request_id]
        reader.admitted = reader.admitted or progress.admitted
        news = None if reader.told == self.figures else self.figures
        reader.told = self.figures
        reader.tell(request_id, replace(progress, figures=news))

    def _pass(self, seconds: float) -> None:
        self._seconds += seconds


def _by_request(events: Iterable[Event]) -> list[tuple[str, tuple[Event, ...]]]:
    gathered: dict[str, list[Event]] = {}
    for event in events:
        gathered.setdefault(event.request_id, []).append(event)
    return [(request_id, tuple(own)) for request_id, own in gathered.items()]
