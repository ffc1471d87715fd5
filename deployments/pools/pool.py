"""The seam between the gateway and the replicas of one model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from deployments.replica.engine_thread import EngineThread
from deployments.run import Progress, Run
from dllm_worker.request import Request


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds that a request would wait for its first step, and seconds that it would run then."""

    wait: float
    run: float


class Pool(Protocol):
    """The replicas that can run a model's requests."""

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
        """Whether a replica answers."""


class LocalPool:
    """One engine in this process: the twin that tests and the command line use."""

    def __init__(self, engine: EngineThread) -> None:
        self._engine = engine

    def generate(self, run: Run) -> AsyncGenerator[Progress]:
        """As :meth:`Pool.generate`."""
        return self._engine.generate(run)

    def should_move(self, run: Run, replica: str, *, boundary: bool) -> bool:
        """Never: there is no other place."""
        return False

    def forecast(self, request: Request) -> Forecast | None:
        """Nothing is known before the engine has run."""
        return None

    async def ready(self) -> bool:
        """Whether the engine runs."""
        return self._engine.healthy
