from __future__ import annotations

import pytest
import torch

from dllm_worker import peak
from dllm_worker.peak import device_clock, measured_peak
from tests.dllm_worker.test_tensor_activity import Ticking

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "PRODUCTS", {"cpu": ((2, 3, 4), (8, 3, 4))})


def test_it_is_the_rate_of_the_fastest_product() -> None:
    assert measured_peak(torch.float32, CPU, 0.0, Ticking()) == 2 * 8 * 3 * 4


@pytest.mark.parametrize(("seconds", "asked"), [(0.0, 6), (11.0, 16)])
def test_it_goes_on_for_the_time_that_it_is_given(seconds: float, asked: int) -> None:
    clock = Ticking()
    measured_peak(torch.bfloat16, CPU, seconds, clock)
    assert clock.seconds == asked


def test_what_it_multiplies_draws_on_nobody_elses_chance() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    measured_peak(torch.float32, CPU, 0.0, Ticking())
    assert torch.equal(torch.rand(3), expected)


def test_the_clock_of_a_device_goes_on() -> None:
    clock = device_clock(CPU)
    first = clock()
    assert clock() >= first
