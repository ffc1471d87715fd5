"""What it costs that a row comes out the same in every batch."""

from __future__ import annotations

from dataclasses import dataclass

from dllm_worker.bench.roofline import REPETITIONS, Step
from dllm_worker.bench.shapes import LARGE, random_model
from dllm_worker.bench.timing import fastest
from dllm_worker.scheduling.planner import StepKind

ROWS = (32, 64, 128, 256, 512)


@dataclass(frozen=True, slots=True)
class Price:
    """The time of a reuse step of ``rows`` rows, by default and deterministic, taken in turn."""

    model: str
    rows: int
    milliseconds: float
    deterministic_milliseconds: float
    ratio: float


def determinism(dtype: str, device: str) -> list[Price]:
    """The large model at each of ``ROWS``."""
    models = {way: random_model(LARGE, dtype, device, deterministic=way) for way in (False, True)}
    steps = {(way, rows): Step("sdar, 103 M", models[way], StepKind.REUSE, rows) for way in models for rows in ROWS}
    runs = {f"{step.label} {way}": step.run for (way, _), step in steps.items()}
    seconds = fastest(runs, REPETITIONS, models[True].device)
    prices: list[Price] = []
    for rows in ROWS:
        plain, tiled = (1e3 * seconds[f"{steps[way, rows].label} {way}"] for way in (False, True))
        prices.append(Price(steps[True, rows].name, rows, plain, tiled, tiled / plain))
    return prices
