from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from deployments.activity.calibration import Calibration, calibrate
from deployments.activity.gpm import GpmSource
from deployments.activity.nvml import Gpu
from deployments.activity.source import Reading
from deployments.autoscaling.config import ActivitySource
from tests.deployments.activity.nvml import FakeGpu, FakeNvml


class Test:
    """A self-test on a GPU: it warms up at a tenth of what it reaches then."""

    __test__, peak = False, 100.0

    def __init__(self, gpu: FakeGpu) -> None:
        self.gpu, self.peak_seconds, self.seconds, self.now = gpu, 0.0, 0.0, 0.0

    def prepare(self, peak_seconds: float) -> Test:
        self.peak_seconds = peak_seconds
        return self

    def plateau(self, seconds: float, begin: Callable[[], None]) -> float:
        self.seconds = seconds
        self.gpu.work(10.0, 0.07)
        begin()
        self.gpu.work(seconds, 0.7)
        self.now = seconds
        return 0.5


@dataclass
class Late:
    """Tells of what was a while ago."""

    at: float
    name: ActivitySource = "dcgm"

    def read(self, now: float) -> Reading | None:
        return Reading(0.1, self.at)

    def close(self) -> None: ...


@pytest.fixture
def gpu() -> FakeGpu:
    return FakeGpu("GPU-1")


def test_a_counter_is_read_over_the_full_steps_alone(gpu: FakeGpu) -> None:
    test = Test(gpu)
    source = GpmSource(FakeNvml(gpu), Gpu(gpu, "GPU-1"))
    calibration = calibrate(test.prepare, [source], 0.4, lambda: test.now)
    assert calibration.plateaus == {"estimate": 0.5, "gpm": pytest.approx(0.7)}
    assert calibration.peak == 100.0
    assert test.peak_seconds + test.seconds == pytest.approx(0.4)


def test_in_no_time_the_peak_alone_is_found(gpu: FakeGpu) -> None:
    test = Test(gpu)
    assert calibrate(test.prepare, [], 0.0, lambda: test.now) == Calibration(100.0, {})
    assert gpu.elapsed == 0.0


def test_a_reading_of_earlier_times_is_no_plateau(gpu: FakeGpu) -> None:
    test = Test(gpu)
    assert calibrate(test.prepare, [Late(at=0.2)], 0.4, lambda: test.now).plateaus == {"estimate": 0.5}


def test_a_counter_that_fails_has_no_plateau(gpu: FakeGpu) -> None:
    test, nvml = Test(gpu), FakeNvml(gpu)
    source = GpmSource(nvml, Gpu(gpu, "GPU-1"))
    nvml.broken = True
    assert calibrate(test.prepare, [source], 0.4, lambda: test.now).plateaus == {"estimate": 0.5}
