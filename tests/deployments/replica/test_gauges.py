from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from deployments.replica.gauges import EngineCollector
from dllm_worker.interface import EngineLimits, EngineStats
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.request import Request
from dllm_worker.scheduling.planner import StepKind
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.engine import SimulatedEngine

LABELS = {"model": "org/m", "pool": "default"}


@pytest.fixture
def engine() -> SimulatedEngine:
    spec = describe(resolve_checkpoint("embedded:tiny-code")).spec
    return SimulatedEngine(spec, SimulatedDevice(1e-6, 0.0, 0.0), EngineLimits(max_running=2))


@pytest.fixture
def registry(engine: SimulatedEngine) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(EngineCollector(engine.stats, "org/m", "default", places=2))
    return registry


def slots(registry: CollectorRegistry) -> list[float | None]:
    states = ("free", "denoising", "waiting")
    return [registry.get_sample_value("dllm_canvas_slots", {**LABELS, "state": state}) for state in states]


def test_places_are_those_of_the_moment(engine: SimulatedEngine, registry: CollectorRegistry) -> None:
    assert slots(registry) == [2, 0, 0]
    for name in "abc":
        engine.add(Request(name, (5, 6), max_tokens=40))
    engine.step()
    assert slots(registry) == [0, 2, 1]
    for name in "abc":
        engine.abort(name)
    assert slots(registry) == [2, 0, 0]


def test_counters_are_the_engines(engine: SimulatedEngine, registry: CollectorRegistry) -> None:
    engine.add(Request("a", (5, 6), max_tokens=40))
    while engine.has_work:
        engine.step()
    stats, value = engine.stats(), registry.get_sample_value
    assert stats.steps > 1
    assert value("dllm_engine_steps_total", LABELS) == stats.steps
    assert value("dllm_position_forwards_total", LABELS) == stats.position_forwards
    by_kind = {kind: value("dllm_phase_positions_total", {**LABELS, "kind": kind.value}) for kind in StepKind}
    assert by_kind == stats.kinds
    assert sum(filter(None, by_kind.values())) == stats.position_forwards


def test_each_figure_has_its_metric(engine: SimulatedEngine) -> None:
    stats: EngineStats = replace(engine.stats(), pages=10, free_pages=7, reused_positions=5, preemptions=3)
    registry = CollectorRegistry()
    registry.register(EngineCollector(lambda: stats, "org/m", "default", places=2))
    value = registry.get_sample_value
    assert value("dllm_cache_pages", {**LABELS, "state": "free"}) == 7
    assert value("dllm_cache_pages", {**LABELS, "state": "used"}) == 3
    assert value("dllm_reused_positions_total", LABELS) == 5
    assert value("dllm_preemptions_total", LABELS) == 3
