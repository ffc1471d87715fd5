from __future__ import annotations

from dataclasses import replace
from statistics import mean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.request import CacheParameters, Request, SamplingParameters
from dllm_worker.simulated.course import ordinary_tokens, profile_of, token_at
from dllm_worker.simulated.device import SimulatedDevice
from tests.dllm_worker.simulated.devices import EOS, MASK, spec

REQUEST = Request("a", prompt=(5,) * 19, max_tokens=100, canvas_length=16)


def sampled(**parameters: Any) -> Request:
    return replace(REQUEST, sampling=replace(REQUEST.sampling, **parameters))


def steps(request: Request, mean_steps: float = 6.0) -> tuple[int, ...]:
    return profile_of(request, spec(), SimulatedDevice(steps=mean_steps / 2)).steps


def test_canvases_lie_on_the_models_grid_and_the_last_is_cut() -> None:
    profile = profile_of(REQUEST, spec(), SimulatedDevice())
    assert profile.prompt == 16
    assert profile.lengths == (16,) * 6 + (7,)
    assert profile.total == 119
    assert profile.refresh_every is None


@pytest.mark.parametrize(
    ("cache", "every"), [(CacheParameters(), 1), (CacheParameters("dual", 5), 5), (CacheParameters("dual"), 256)]
)
def test_a_sequence_that_sees_both_ways_is_refreshed(cache: CacheParameters, every: int) -> None:
    request = replace(REQUEST, cache=cache)
    assert profile_of(request, spec("bidirectional"), SimulatedDevice()).refresh_every == every


def test_a_schedule_takes_all_of_its_steps() -> None:
    assert steps(sampled(algorithm="low_confidence", max_steps=5)) == (5,) * 7
    assert steps(sampled(algorithm="low_confidence")) == (13,) + (16,) * 5 + (7,)


def test_an_early_exit_takes_fewer_under_a_lower_threshold_and_never_more_than_the_bound() -> None:
    def average(threshold: float) -> float:
        return mean(steps(sampled(threshold=threshold, seed=seed))[1] for seed in range(300))

    assert average(0.9) == pytest.approx(6.0, rel=0.05)
    assert average(0.3) == pytest.approx(2.0, rel=0.05)
    assert max(step for seed in range(100) for step in steps(sampled(max_steps=3, seed=seed))) == 3
    assert steps(sampled(threshold=0.0)) == (1,) * 7


def test_steps_grow_with_what_there_is_to_settle() -> None:
    def average(length: int) -> float:
        return mean(steps(replace(sampled(seed=seed), canvas_length=length))[1] for seed in range(300))

    assert average(32) / average(16) == pytest.approx(2.0, rel=0.05)


def test_another_seed_is_another_course() -> None:
    assert steps(sampled(seed=1)) == steps(sampled(seed=1)) != steps(sampled(seed=2))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**20))
def test_tokens_are_ordinary_ones(seed: int, position: int) -> None:
    request = Request("a", sampling=SamplingParameters(seed=seed))
    token = token_at(request, position, ordinary_tokens(spec()))
    assert token not in (MASK, EOS)
    assert 0 <= token < spec().vocab_size


def test_a_template_keeps_its_givens() -> None:
    request = Request("a", template=(None, 7, None))
    assert token_at(request, 1, ordinary_tokens(spec())) == 7
