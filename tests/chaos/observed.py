"""A worker that leaves notes of itself, see :mod:`tests.chaos.notes`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from deployments.autoscaling.config import AutoscalingConfig
from deployments.config import ModelConfig, PoolConfig
from deployments.replica.worker import Worker
from deployments.run import Progress, Run
from deployments.telemetry.config import TelemetryConfig
from tests.chaos.notes import COUNT, FOLDER


class ObservedWorker(Worker):
    """The worker of the product, with notes."""

    def __init__(
        self, config: ModelConfig, pool: PoolConfig, autoscaling: AutoscalingConfig, telemetry: TelemetryConfig
    ) -> None:
        self._home = Path(os.environ[FOLDER]) / str(os.getpid())
        (self._home / "running").mkdir(parents=True)
        self._steps = self._checks = 0
        self._model = config.id
        self._observe_steps(config.device)
        super().__init__(config, pool, autoscaling, telemetry)

    def check_health(self) -> None:
        """As :meth:`Worker.check_health`. The first check belongs to the start, and Serve takes a death until then for
        a fault of the program. So a replica is ready from the second one on.
        """
        super().check_health()
        self._checks += 1
        if self._checks == 2:
            (self._home / "ready").write_text(self._model)

    async def generate(self, run: Run, ticket: object = None) -> AsyncGenerator[Progress]:
        """As :meth:`Worker.generate`."""
        note = self._home / "running" / run.request.id
        if not os.listdir(note.parent):
            self._steps = 0
        note.touch()
        with (self._home / "runs").open("a") as runs:
            runs.write(f"{time.monotonic()} {run.request.id}\n")
        try:
            async with aclosing(super().generate(run, ticket)) as messages:
                async for progress in messages:
                    yield progress
        finally:
            note.unlink(missing_ok=True)

    def _observe_steps(self, device: str) -> None:
        """Count what the engines of this process do."""
        engine: Any
        if device == "simulated":
            from dllm_worker.simulated.engine import SimulatedEngine as engine
        else:
            from dllm_worker.engine import Engine as engine
        step: Callable[[Any], Sequence[Any]] = engine.step
        doom = self._home.parent / "doom"
        positions = os.open(self._home / "positions", os.O_WRONLY | os.O_CREAT)

        def observed(this: Any) -> Sequence[Any]:
            events = step(this)
            self._steps += 1
            os.pwrite(positions, COUNT.pack(this.stats().position_forwards), 0)
            if doom.exists() and int(doom.read_text().split()[0]) == self._steps:
                _die(doom)
            return events

        engine.step = observed


def _die(doom: Path) -> None:
    """End this process as ``kill -9`` does, and leave the rest of the deaths to others."""
    steps, deaths = map(int, doom.read_text().split())
    if deaths > 1:
        doom.write_text(f"{steps} {deaths - 1}")
    else:
        doom.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
