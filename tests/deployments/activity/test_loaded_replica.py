"""From requests to load: a replica in virtual time, on a simulated device."""

from __future__ import annotations

import asyncio
import threading

import pytest

from deployments.activity.calibration import Calibration, calibrate
from deployments.activity.estimate import EstimateSource
from deployments.activity.ladder import choose
from deployments.replica.engine_thread import Clocks, EngineThread
from deployments.run import Run
from dllm_worker.interface import EngineLimits
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.request import Request
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.engine import SimulatedEngine
from dllm_worker.simulated.trial import VirtualTime, simulated_trial

DESCRIPTION = describe(resolve_checkpoint("embedded:tiny-code"))
DEVICE, LIMITS = SimulatedDevice(), EngineLimits(max_running=16, position_budget=512)


class Replica:
    """An engine in its thread, and what it knows of its load."""

    def __init__(self) -> None:
        self.time, self.all_there = VirtualTime(), threading.Event()
        engine = SimulatedEngine(DESCRIPTION.spec, DEVICE, LIMITS, sleep=self._sleep)
        self.thread = EngineThread(engine, clocks=Clocks(self.time.now, self.time.now))
        self.calibration: Calibration = calibrate(
            lambda _: simulated_trial(DESCRIPTION, DEVICE, LIMITS, 1 << 30), [], 0.5, self.time.now
        )
        self.source = EstimateSource(self.thread.executed, self.calibration.peak)

    async def load_under(self, requests: int) -> float:
        """The load while so many requests, all there from the first step on, are answered."""
        self.all_there.clear()
        answers = [asyncio.create_task(self._answer(str(number))) for number in range(requests)]
        await asyncio.sleep(0)
        self.all_there.set()
        await asyncio.gather(*answers)
        reading = self.source.read(self.time.now())
        assert reading is not None
        activity = choose({"estimate": reading}, ("estimate",), self.calibration.plateaus, 0.0)
        assert activity is not None
        return activity.load

    def rest(self, seconds: float) -> None:
        """Let time pass, and wait until the engine has nothing to do."""
        self.time.sleep(seconds)
        while self.thread.lag:
            pass

    def _sleep(self, seconds: float) -> None:
        self.all_there.wait()
        self.time.sleep(seconds)

    async def _answer(self, name: str) -> None:
        async for _ in self.thread.generate(Run(Request(name, tuple(range(5, 37)), max_tokens=64))):
            pass


async def test_a_full_engine_is_at_its_plateau_and_an_idle_one_is_not() -> None:
    replica = Replica()
    try:
        full, one = await replica.load_under(16), await replica.load_under(1)
        replica.rest(10.0)
        idle = await replica.load_under(0)
    finally:
        replica.thread.stop()
    assert full == pytest.approx(1.0, abs=0.2)
    assert one < 0.4
    assert idle < 0.01
