"""The seam between the gateway and the replicas of one model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from deployments.replica.engine_thread import EngineThread
from deployments.run import Progress, Run
from dllm_worker.interface import EngineLimits
from dllm_worker.request import Request

EVERY_CANVAS = "every"
"""The canvas class of replicas that denoise canvases of all sizes."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds that a request would wait for its first step, and seconds that it would run then."""

    wait: float
    run: float


class Runner(Protocol):
    """Something that runs requests."""

    def generate(self, run: Run) -> AsyncGenerator[Progress]:
        """The messages of ``run``; the last one has a ``Finish`` or is ``parked``.

        Closing the iterator aborts: the canvas is free within one step. Raises :class:`ServingError`, and
        :class:`deployments.errors.ReplicaLost` when the replica died or was silent for too long.
        """

    def should_move(self, run: Run, replica: str, *, boundary: bool) -> bool:
        """Whether ``run`` had better go on elsewhere: its replica leaves, or, at a boundary, another has less to do."""

    def forecast(self, request: Request) -> Forecast | None:
        """What ``request`` would have to wait, or ``None`` when too little is known of the replicas."""

    async def ready(self) -> bool:
        """Whether a replica answers, or will start when a request waits."""


class Pool(Runner, Protocol):
    """The replicas that can run a model's requests."""

    @property
    def canvas_classes(self) -> tuple[str, ...]:
        """The names of the canvas classes: replicas that denoise canvases of the same sizes are of one."""

    def canvas_class(self, request: Request) -> str:
        """The class in which ``request`` begins."""

    def places(self, canvas_class: str) -> int:
        """How many requests the replicas of a class may have at a time: at least one, unless they are all asleep."""


class LocalPool:
    """One engine in this process: the twin that tests and the command line use."""

    def __init__(self, engine: EngineThread, places: int = EngineLimits().max_running) -> None:
        self._engine, self._places = engine, places

    def generate(self, run: Run) -> AsyncGenerator[Progress]:
        """As :meth:`Pool.generate`."""
        return self._engine.generate(run)

    def should_move(self, run: Run, replica: str, *, boundary: bool) -> bool:
        """Never: there is no other place."""
        return False

    def forecast(self, request: Request) -> Forecast | None:
        """Nothing is known before the engine has run."""
        return None

    @property
    def canvas_classes(self) -> tuple[str, ...]:
        """The engine takes canvases of every size."""
        return (EVERY_CANVAS,)

    def canvas_class(self, request: Request) -> str:
        """The only one."""
        return EVERY_CANVAS

    def places(self, canvas_class: str) -> int:
        """Those of the engine."""
        return self._places

    async def ready(self) -> bool:
        """Whether the engine runs."""
        return self._engine.healthy
