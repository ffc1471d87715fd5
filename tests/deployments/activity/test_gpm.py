from __future__ import annotations

import math

import pynvml
import pytest

from deployments.activity.gpm import GpmSource
from deployments.activity.nvml import Gpu
from deployments.activity.source import Unavailable
from tests.deployments.activity.nvml import FakeGpu, FakeNvml


def test_a_device_without_the_counter_is_refused() -> None:
    gpu = FakeGpu("GPU-1", has_gpm=False)
    with pytest.raises(Unavailable, match="has no GPM"):
        GpmSource(FakeNvml(gpu), Gpu(gpu, gpu.uuid))


def test_the_first_sample_is_between_nothing() -> None:
    gpu = FakeGpu("GPU-1")
    source = GpmSource(FakeNvml(gpu), Gpu(gpu, gpu.uuid))
    assert source.read(0.0) is None


def test_a_part_of_a_device_is_sampled_as_such() -> None:
    gpu = FakeGpu("GPU-1", instances={"MIG-1": 7})
    nvml = FakeNvml(gpu)
    GpmSource(nvml, Gpu(gpu, gpu.uuid, instance=7)).read(0.0)
    assert nvml.sampled_instances == [7]


@pytest.mark.parametrize(("code", "share"), [(pynvml.NVML_ERROR_UNKNOWN, 0.5), (pynvml.NVML_SUCCESS, math.nan)])
def test_a_metric_that_is_not_known_is_none(code: int, share: float) -> None:
    gpu = FakeGpu("GPU-1")
    nvml = FakeNvml(gpu)
    source = GpmSource(nvml, Gpu(gpu, gpu.uuid))
    source.read(0.0)
    gpu.work(1, share)
    nvml.metric_return = code
    assert source.read(1.0) is None


def test_samples_are_given_back() -> None:
    gpu = FakeGpu("GPU-1")
    nvml = FakeNvml(gpu)
    source = GpmSource(nvml, Gpu(gpu, gpu.uuid))
    source.read(0.0)
    assert len(nvml.allocated) == 2
    source.close()
    assert not nvml.allocated
