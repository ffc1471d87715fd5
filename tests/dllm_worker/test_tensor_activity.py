"""The self-test: who fills an engine, what it finds, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from dllm_worker.canvas import total_length
from dllm_worker.capabilities import capabilities
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.checkpoint import describe
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import CacheParameters, SamplingParameters
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.engine import SimulatedEngine
from dllm_worker.simulated.trial import VirtualTime
from dllm_worker.tensor_activity import STEPS, WARM_UP, Crowd, Trial
from dllm_worker.validate import validate
from dllm_worker.work import network_cost
from tests.dllm_worker.models import families
from tests.dllm_worker.simulated import devices

ANY_LENGTH = 1 << 30
DEFAULTS, CACHE = SamplingParameters(), CacheParameters()


class Ticking:
    """A clock that goes on by one second each time it is asked."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1.0
        return self.seconds


def crowd_for(limits: EngineLimits, longest: int = ANY_LENGTH) -> Crowd:
    return Crowd.of(devices.spec(), DEFAULTS, CACHE, limits, longest)


def trial_on(device: SimulatedDevice, limits: EngineLimits) -> Trial:
    time, crowd = VirtualTime(), crowd_for(limits)
    engine = SimulatedEngine(devices.spec(), device, crowd.limits, sleep=time.sleep)
    return Trial(engine, crowd, device.peak, time.now)


@pytest.mark.parametrize(
    ("limits", "count"),
    [
        (EngineLimits(max_running=32, position_budget=64), 64 // 8),
        (EngineLimits(max_running=3, position_budget=64), 3),
        (EngineLimits(max_running=32, position_budget=64, cache_positions=200), 200 // 64),
        (EngineLimits(max_running=32, position_budget=4), 1),
    ],
)
def test_a_crowd_fills_a_step_as_far_as_the_limits_go(limits: EngineLimits, count: int) -> None:
    crowd = crowd_for(limits)
    assert crowd.count == count
    assert crowd.limits.cache_positions == count * 64
    assert total_length(crowd.request) == 8 + 4 * 8


def test_canvases_are_no_longer_than_a_pool_serves() -> None:
    crowd = crowd_for(EngineLimits(max_running=32, position_budget=64), longest=4)
    assert (crowd.count, crowd.request.canvas_length) == (16, 4)


@pytest.mark.parametrize("family", sorted(families.CONFIGS))
def test_every_family_has_a_crowd_that_runs_as_its_requests_do(family: str, tmp_path: Path) -> None:
    described = describe(families.write(tmp_path, families.CONFIGS[family]))
    crowd = Crowd.of(described.spec, described.defaults, described.cache, EngineLimits(), ANY_LENGTH)
    validate(crowd.request, described.spec)
    assert crowd.request.sampling.algorithm in capabilities(described.spec).algorithms
    assert crowd.count * described.spec.canvas_length <= EngineLimits().position_budget


def test_the_plateau_of_a_simulated_device_is_the_share_of_a_step_that_its_positions_take() -> None:
    device = SimulatedDevice(floor_seconds=1e-3, per_position_seconds=1e-4, per_segment_seconds=1e-4, steps=4.0)
    found = trial_on(device, EngineLimits(max_running=8, position_budget=64)).plateau(seconds=0.5)
    assert found == pytest.approx(64 * 1e-4 / device.seconds(64, 8), rel=0.01)


def test_a_step_that_waits_for_memory_leaves_the_arithmetic_idle() -> None:
    device = SimulatedDevice(floor_seconds=1e-2, per_position_seconds=1e-4, per_segment_seconds=0.0, steps=4.0)
    found = trial_on(device, EngineLimits(max_running=1, position_budget=64)).plateau(seconds=0.5)
    assert found == pytest.approx(8 * 1e-4 / 1e-2, rel=0.01)


def test_a_device_without_a_peak_has_no_plateau() -> None:
    device = SimulatedDevice(per_position_seconds=0.0)
    assert trial_on(device, EngineLimits()).plateau(seconds=0.1) == 0.0


def test_it_takes_the_time_that_it_is_given_and_no_more_steps_than_enough() -> None:
    device = SimulatedDevice(floor_seconds=0.125, per_position_seconds=0.0, per_segment_seconds=0.0)
    for seconds, steps in ((0.0, WARM_UP + 1), (1.0, 8), (1000.0, WARM_UP + STEPS)):
        trial = trial_on(device, EngineLimits())
        trial.plateau(seconds)
        assert trial.engine.stats().steps == steps


def test_it_begins_after_what_is_warmed_up() -> None:
    trial = trial_on(SimulatedDevice(), EngineLimits())
    seen: list[int] = []
    trial.plateau(0.1, lambda: seen.append(trial.engine.stats().steps))
    assert seen == [WARM_UP]


def test_with_the_same_clock_it_finds_the_same_and_leaves_the_engine_empty(tiny_model: LoadedModel) -> None:
    found = []
    for _ in range(2):
        description = tiny_model.description
        crowd = Crowd.of(
            tiny_model.spec, description.defaults, description.cache, EngineLimits(max_running=4), ANY_LENGTH
        )
        trial = Trial(Engine(tiny_model, crowd.limits), crowd, 1e9, Ticking())
        found.append(trial.plateau(seconds=8.0))
        trial.engine.check_integrity()
        stats = trial.engine.stats()
        assert (stats.running, stats.waiting, stats.free_pages) == (0, 0, stats.pages)
        assert not trial.engine.has_work
    assert found[0] == found[1] > 0


def test_rows_of_all_the_crowd_are_in_each_step(tiny_model: LoadedModel) -> None:
    limits = EngineLimits(max_running=4)
    description = tiny_model.description
    crowd = Crowd.of(tiny_model.spec, description.defaults, description.cache, limits, ANY_LENGTH)
    trial = Trial(Engine(tiny_model, crowd.limits), crowd, 1.0, Ticking())
    trial.plateau(seconds=100.0)
    stats, least = trial.engine.stats(), 2 * network_cost(tiny_model.denoiser).weights * 4 * 8
    assert stats.flops >= stats.steps * least
