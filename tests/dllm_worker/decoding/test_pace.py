from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from dllm_worker.decoding.trace import StepTrace
from dllm_worker.engine import Engine
from dllm_worker.models.loading import LoadedModel
from dllm_worker.noise import CountedNoise, NoiseKeys
from dllm_worker.request import CacheParameters, Request, SamplingParameters
from tests.dllm_worker.models.golden import model

PROMPT = (5, 9, 40, 3, 77)
END = 1e-3


def traced(loaded: LoadedModel, request: Request) -> list[StepTrace]:
    traces: list[StepTrace] = []
    engine = Engine(loaded, observe=traces.append)
    engine.add(request)
    while engine.has_work:
        engine.step()
    return traces


def dream_steps(masked: int, steps: int, first: int = 0) -> Iterator[tuple[int, int]]:
    """``(step, accepted)`` of the steps of Dream's loop that accept anything."""
    times = torch.linspace(1, END, steps + 1)
    for step in range(first, steps):
        accepted = int(masked * (1 - times[step + 1] / times[step])) if step < steps - 1 else masked
        masked -= accepted
        if accepted:
            yield step, accepted


def test_a_quota_is_accepted_in_every_step(tiny_model: LoadedModel) -> None:
    sampling = SamplingParameters("low_confidence", quota=3, eos="ignore")
    traces = traced(tiny_model, Request("a", PROMPT[:4] * 2, max_tokens=8, sampling=sampling))
    assert [trace.quota for trace in traces] == [3, 3, 2]
    assert [len(trace.accepted) for trace in traces] == [3, 3, 2]


@pytest.mark.parametrize("steps", [3, 12, 40, 200])
def test_more_steps_than_masks_are_the_points_in_time_of_the_published_loop(steps: int) -> None:
    sampling = SamplingParameters("low_entropy", max_steps=steps, schedule="dream", eos="ignore")
    traces = traced(model("dream"), Request("a", PROMPT, max_tokens=12, sampling=sampling))
    assert [(trace.step, len(trace.accepted)) for trace in traces] == list(dream_steps(12, steps))


@pytest.mark.parametrize("cache", [CacheParameters("prefix"), CacheParameters("dual")])
@pytest.mark.parametrize("steps", [2, 8, 30])
def test_the_pass_that_takes_a_first_token_is_no_idle_step(cache: CacheParameters, steps: int) -> None:
    sampling = SamplingParameters("low_entropy", max_steps=steps, schedule="dream", eos="ignore")
    request = Request("a", PROMPT, max_tokens=16, canvas_length=8, sampling=sampling, cache=cache)
    canvas = [(0, 1), *dream_steps(7, steps, first=1)]
    assert [(trace.step, len(trace.accepted)) for trace in traced(model("dream"), request)] == canvas * 2


def test_coins_are_thrown_at_every_point_in_time() -> None:
    sampling = SamplingParameters("ancestral", max_steps=60, eos="ignore", seed=3)
    traces = traced(model("dream"), Request("a", PROMPT, max_tokens=6, sampling=sampling))
    assert sum(len(trace.accepted) for trace in traces) == 6
    assert all(trace.accepted for trace in traces)
    assert max(trace.step for trace in traces) > 6


class CountedOrders(CountedNoise):
    """Counts how often it is asked for an order."""

    asked = 0

    def order(self, keys: NoiseKeys) -> Tensor:
        self.asked += 1
        return super().order(keys)


def test_nobody_waits_long_for_a_coin_to_fall(tiny_model: LoadedModel) -> None:
    draws = CountedOrders()
    engine = Engine(tiny_model, draws=draws)
    sampling = SamplingParameters("ancestral", max_steps=4096, eos="ignore")
    engine.add(Request("a", PROMPT[:4], max_tokens=4, sampling=sampling))
    most = 0
    while engine.has_work:
        before = draws.asked
        engine.step()
        most = max(most, draws.asked - before)
    assert 250 < most < 600
