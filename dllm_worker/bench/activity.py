"""Tensor activity: the peak that was measured, how near to it an engine comes by the number of its requests, and what
it costs to know the operations of each step.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from dllm_worker.bench.shapes import LARGE, random_model
from dllm_worker.decoding.turns import Turn
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.peak import device_clock, measured_peak
from dllm_worker.tensor_activity import Crowd, Trial

MODELS = ("embedded:tiny-code", "embedded:tiny-sudoku")
REQUESTS = (1, 4, 16)
"""And as many as fill a step."""

PEAK_SECONDS, SECONDS = 1.0, 2.0
"""For the peak, and for each number of requests."""


@dataclass(frozen=True, slots=True)
class Plateau:
    """Steps of ``requests`` that are denoised together. ``activity`` is the share of the peak, and ``load`` the same as
    a share of the full engine's. ``accounting_percent`` of the time of a step its operations take to count.
    """

    model: str
    requests: int
    positions_per_step: float
    step_milliseconds: float
    peak_gflops: float
    activity: float
    load: float
    accounting_microseconds: float
    accounting_percent: float


class TimedEngine(Engine):
    """Knows the seconds that it spends on counting its work."""

    counting = 0.0

    def _count(self, turns: list[Turn]) -> None:
        started = time.thread_time()
        super()._count(turns)
        self.counting += time.thread_time() - started


def plateaus(dtype: str, device: str) -> list[Plateau]:
    """The embedded models, and a large random one."""
    models = {name: load_model(resolve_checkpoint(name), dtype, device) for name in MODELS}
    models["sdar, 103 M"] = random_model(LARGE, dtype, device)
    return [row for name, model in models.items() for row in measure(name, model, SECONDS, EngineLimits())]


def measure(name: str, model: LoadedModel, seconds: float, limits: EngineLimits) -> list[Plateau]:
    """Each of ``REQUESTS`` that fits, and a full engine. On a CPU time is that of this process."""
    clock = time.process_time if model.device.type == "cpu" else device_clock(model.device)
    peak = measured_peak(model.dtype, model.device, PEAK_SECONDS, clock)
    full = Crowd.of(model.spec, model.description.defaults, model.description.cache, limits, model.spec.canvas_length)
    counts = [*(count for count in REQUESTS if count < full.count), full.count]
    rows: list[Plateau] = []
    for count in reversed(counts):
        engine = TimedEngine(model, full.limits)
        started = clock()
        activity = Trial(engine, replace(full, count=count), peak, clock).plateau(seconds)
        taken, stats = clock() - started, engine.stats()
        rows.append(
            Plateau(
                model=name,
                requests=count,
                positions_per_step=stats.position_forwards / stats.steps,
                step_milliseconds=1e3 * taken / stats.steps,
                peak_gflops=peak / 1e9,
                activity=activity,
                load=activity / rows[0].activity if rows else 1.0,
                accounting_microseconds=1e6 * engine.counting / stats.steps,
                accounting_percent=100 * engine.counting / taken,
            )
        )
    return rows[::-1]
