from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from dllm_worker.sampling.distribution import Distribution
from dllm_worker.sampling.renoise import renoise, stable_and_confident
from dllm_worker.sampling.schedule import temperature_at
from tests.dllm_worker.models.golden import folder

RECORDED: dict[str, Any] = json.loads((folder("diffusion_gemma") / "decode.json").read_text())


def test_there_is_something_to_replay() -> None:
    assert len(RECORDED["cases"]) >= 5


def test_acceptance_of_the_reference() -> None:
    logits = load_file(folder("diffusion_gemma") / "unit.safetensors")["unit_logits"]
    unit = RECORDED["unit"]["entropy_bound"]
    entropy = Distribution.of(logits.flatten(0, 1).clone()).entropy.view(3, -1)
    assert torch.allclose(entropy, torch.tensor(unit["token_entropy"]), atol=1e-5)
    for case in unit["cases"]:
        candidate, random = torch.ones_like(entropy).long(), torch.zeros_like(entropy).long()
        tokens, accepted = renoise(candidate, entropy, random, torch.full((3,), case["entropy_bound"]))
        assert accepted.int().tolist() == case["accepted"]
        assert torch.equal(tokens.bool(), accepted)


def stops(canvases: list[list[int]], mean_entropies: list[float], stability: int, entropy_exit: float) -> list[bool]:
    """The stopping rule step by step, counting unchanged canvases as the engine does."""
    said: list[bool] = []
    unchanged = 0
    for number, (canvas, entropy) in enumerate(zip(canvases, mean_entropies, strict=True)):
        unchanged = unchanged + 1 if number and canvas == canvases[number - 1] else 0
        limits = torch.tensor([stability]), torch.tensor([entropy_exit])
        said += stable_and_confident(torch.tensor([unchanged]), torch.tensor([entropy]), *limits).tolist()
    return said


@pytest.mark.parametrize("case", RECORDED["unit"]["stable_and_confident"])
def test_the_stopping_rule_of_the_reference(case: dict[str, Any]) -> None:
    calls = case["calls"]
    said = stops(
        [call["argmax_canvas"] for call in calls],
        [call["mean_entropy"] for call in calls],
        case["stability_threshold"],
        case["confidence_threshold"],
    )
    assert said == [call["stop"] for call in calls]


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case["name"])
def test_every_step_of_the_reference(case: dict[str, Any]) -> None:
    for canvas in case["canvases"]:
        steps = canvas["steps"]
        for step in steps:
            tokens, accepted = renoise(
                torch.tensor([step["denoiser_canvas"]]),
                torch.tensor([step["token_entropy"]]),
                torch.tensor([step["random_canvas"]]),
                torch.tensor([case["entropy_bound"]]),
            )
            assert accepted[0].int().tolist() == step["accepted_mask"]
            assert tokens[0].tolist() == step["canvas_out"]
            number = case["max_denoising_steps"] - step["cur_step"]
            heat = temperature_at(case["t_min"], case["t_max"], number, case["max_denoising_steps"])
            assert heat == pytest.approx(step["temperature"])
        said = stops(
            [step["argmax_canvas"] for step in steps],
            [step["mean_entropy"] for step in steps],
            case["stability_threshold"],
            case["confidence_threshold"],
        )
        assert said == [step["stop"] for step in steps]


entropies = st.lists(st.floats(0.0, 5.0, width=32), min_size=1, max_size=8)


@given(entropies, st.floats(0.0, 3.0), st.integers(0, 4))
def test_one_is_always_accepted_and_padding_changes_nothing(values: list[float], bound: float, padding: int) -> None:
    def accepted(entropy: list[float]) -> list[bool]:
        blank = torch.zeros(1, len(entropy), dtype=torch.int64)
        kept: list[bool] = renoise(blank, torch.tensor([entropy]), blank, torch.tensor([bound]))[1][0].tolist()
        return kept

    alone = accepted(values)
    assert any(alone)
    assert accepted([*values, *[0.0] * padding])[: len(values)] == alone


@given(entropies, st.floats(0.0, 3.0))
def test_a_larger_bound_accepts_no_less(values: list[float], bound: float) -> None:
    entropy = torch.tensor([values] * 2)
    blank = torch.zeros_like(entropy, dtype=torch.int64)
    less, more = renoise(blank, entropy, blank, torch.tensor([bound, bound + 1.0]))[1]
    assert not bool((less & ~more).any())
