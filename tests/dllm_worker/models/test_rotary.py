"""Positions against the formulas of transformers, at the sizes of the published models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Ministral3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.diffusion_gemma import DiffusionGemmaTextConfig

from dllm_worker.models.rotary import ProportionalRotary, Rotary, YarnRotary
from dllm_worker.models.specs.yarn import read_yarn_parameters

CPU = torch.device("cpu")
PUBLISHED: dict[str, Any] = {
    "rope_type": "yarn",
    "rope_theta": 1e6,
    "factor": 16.0,
    "original_max_position_embeddings": 16_384,
    "llama_4_scaling_beta": 0.1,
}


@pytest.mark.parametrize("head_dim", [64, 128])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0},
        {"beta_fast": 16.0, "beta_slow": 2.0, "mscale": 0.8, "mscale_all_dim": 0.5},
        {"factor": 1.0},
        {"factor": 4.0, "attention_factor": 1.3, "original_max_position_embeddings": 4096},
    ],
)
def test_yarn_is_that_of_transformers(changes: dict[str, Any], head_dim: int) -> None:
    parameters = PUBLISHED | changes
    config = Ministral3Config(head_dim=head_dim, rope_parameters=dict(parameters))
    expected, scaling = ROPE_INIT_FUNCTIONS["yarn"](config, CPU)
    rotary = YarnRotary(head_dim, parameters["rope_theta"], read_yarn_parameters(parameters))
    torch.testing.assert_close(rotary.frequencies(CPU), expected, atol=0, rtol=1e-5)
    assert rotary.yarn.attention_scaling == pytest.approx(scaling)


def test_queries_are_lengthened_context_by_context() -> None:
    rotary = YarnRotary(64, 1e6, read_yarn_parameters(PUBLISHED))
    scale = rotary.rotation(torch.tensor([0, 16_383, 16_384, 40_000])).query_scale
    assert scale is not None
    steps = torch.tensor([0.0, 0.0, 1.0, 2.0])
    torch.testing.assert_close(scale, 1 + 0.1 * torch.log(1 + steps))


def test_a_proportional_head_is_that_of_transformers() -> None:
    config = DiffusionGemmaTextConfig(num_experts=2, top_k_experts=1, moe_intermediate_size=8)
    expected, _ = ROPE_INIT_FUNCTIONS["proportional"](config, CPU, layer_type="full_attention")
    actual = ProportionalRotary(512, 1e6, 64).frequencies(CPU)
    torch.testing.assert_close(actual, expected, atol=0, rtol=1e-5)


def test_turning_keeps_lengths_and_what_lies_beyond_the_width() -> None:
    x = torch.randn(5, 3, 24, generator=torch.Generator().manual_seed(0))
    turned = Rotary(16, 1e4).rotation(torch.arange(5)).turn(x)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[..., 16:], x[..., 16:])
    assert torch.equal(turned[0], x[0])
    assert not torch.equal(turned[1:, :, :16], x[1:, :, :16])


def test_products_depend_on_the_distance_only() -> None:
    query, key = torch.randn(2, 1, 1, 16, generator=torch.Generator().manual_seed(1))
    rotary = Rotary(16, 1e4)

    def product(first: int, second: int) -> float:
        left = rotary.rotation(torch.tensor([first])).turn_query(query)
        return float((left * rotary.rotation(torch.tensor([second])).turn(key)).sum())

    assert product(3, 10) == pytest.approx(product(20, 27), abs=1e-5)
    assert product(3, 10) != pytest.approx(product(3, 11), abs=1e-3)
