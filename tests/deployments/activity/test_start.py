from __future__ import annotations

import logging

import pytest

from deployments.activity.calibration import Calibration
from deployments.activity.estimate import Executed
from deployments.activity.start import open_counters, start_sampling
from deployments.autoscaling.config import ActivityConfig, ActivitySource, AutoscalingConfig
from deployments.telemetry.metrics import MemoryMetrics
from tests.deployments.activity.nvml import FakeGpu, FakeNvml

GPU = FakeGpu("GPU-1")
URL = "http://prometheus:9090"


def names(config: ActivityConfig, nvml: FakeNvml) -> list[str]:
    counters = open_counters(AutoscalingConfig(activity=config), {}, nvml, "here")
    for counter in counters:
        counter.close()
    return [counter.name for counter in counters]


def test_every_counter_that_there_is_is_opened() -> None:
    assert names(ActivityConfig(prometheus_url=URL), FakeNvml(GPU)) == ["gpm", "dcgm"]
    assert names(ActivityConfig(sources=["estimate"], prometheus_url=URL), FakeNvml(GPU)) == []
    assert names(ActivityConfig(prometheus_url=URL), FakeNvml(driver=False)) == ["dcgm"]


def test_the_log_says_what_there_is_not(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert names(ActivityConfig(), FakeNvml(driver=False)) == []
    gpm, dcgm = (record.getMessage() for record in caplog.records)
    assert gpm.startswith("tensor activity is not read from gpm: NVML on device 0")
    assert dcgm == "tensor activity is not read from dcgm: autoscaling.activity.prometheus_url is not set"


@pytest.mark.parametrize(("plateaus", "load"), [({"estimate": 0.5}, 0.6), ({}, 0.3)])
def test_the_load_is_a_share_of_the_plateau(plateaus: dict[ActivitySource, float], load: float) -> None:
    executed = iter([Executed(0.0, 0.0), Executed(30.0, 1.0)])
    config = AutoscalingConfig(activity=ActivityConfig(interval_seconds=1000.0))
    sampler = start_sampling(
        config, [], Calibration(100.0, plateaus), lambda: next(executed), MemoryMetrics(), {"model": "m", "pool": "p"}
    )
    sampler.close()
    latest = sampler.latest()
    assert latest is not None
    assert (latest.source, latest.activity) == ("estimate", 0.3)
    assert latest.load == pytest.approx(load)


def test_sources_that_are_not_wanted_are_not_read() -> None:
    config = AutoscalingConfig(activity=ActivityConfig(sources=["gpm"], interval_seconds=1000.0))
    sampler = start_sampling(
        config, [], Calibration(100.0, {}), lambda: Executed(0.0, 0.0), MemoryMetrics(), {"model": "m", "pool": "p"}
    )
    sampler.close()
    assert sampler.latest() is None
