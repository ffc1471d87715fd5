from __future__ import annotations

import pytest

from deployments.activity.nvml import VISIBLE, Gpu, find_gpu, visible
from deployments.activity.source import Unavailable
from tests.deployments.activity.nvml import FakeGpu, FakeNvml

FIRST = FakeGpu("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6")
SECOND = FakeGpu("GPU-8932aaaa-d72c-4106-c12f-20bd9faed9f6", instances={"MIG-6ec10fd8": 7})
NVML = FakeNvml(FIRST, SECOND)


@pytest.mark.parametrize(
    ("shown", "gpu"),
    [
        ("0", Gpu(FIRST, FIRST.uuid)),
        ("1,0", Gpu(SECOND, SECOND.uuid)),
        (SECOND.uuid, Gpu(SECOND, SECOND.uuid)),
        ("GPU-8932f", Gpu(FIRST, FIRST.uuid)),
        ("MIG-6ec10fd8", Gpu(SECOND, SECOND.uuid, 7)),
    ],
)
def test_the_device_is_the_first_that_cuda_shows(shown: str, gpu: Gpu) -> None:
    assert find_gpu(NVML, {VISIBLE: shown}) == gpu


def test_without_the_variable_cuda_shows_all() -> None:
    assert visible({}) == "0"


@pytest.mark.parametrize("shown", ["", "-1", "2", "GPU-8932", "GPU-none", "MIG-none"])
def test_a_device_that_is_not_one_is_refused(shown: str) -> None:
    with pytest.raises(Unavailable):
        find_gpu(NVML, {VISIBLE: shown})


def test_without_a_driver_there_is_none() -> None:
    with pytest.raises(Unavailable, match="NVML"):
        find_gpu(FakeNvml(driver=False), {})
