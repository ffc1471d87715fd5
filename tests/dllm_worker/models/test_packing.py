from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dllm_worker.models.blocks import Activation, GatedMLP
from dllm_worker.models.diffusion_gemma import gelu_tanh
from dllm_worker.models.experts import Experts
from dllm_worker.models.loading import FAMILIES
from dllm_worker.models.packing import PackedExperts, PackedGatedMLP, PackedLinear, can_pack, pack
from tests.dllm_worker.models.families import CONFIGS

CPU = torch.device("cpu")

pytestmark = pytest.mark.skipif(not can_pack(torch.bfloat16, CPU), reason="this CPU has no bf16 products")


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()


def close(packed: Tensor, plain: Tensor) -> None:
    """Equal but for the last bits of bf16, of which each product may turn another one."""
    torch.testing.assert_close(packed, plain, rtol=0.02, atol=0.02)


@torch.inference_mode()
@pytest.mark.parametrize("rows", [1, 32, 64, 200])
@pytest.mark.parametrize("bias", [False, True])
def test_a_packed_linear_map_is_the_same_map(rows: int, bias: bool) -> None:
    linear, x = nn.Linear(48, 80, bias=bias).bfloat16(), drawn(rows, 48)
    close(PackedLinear(linear.weight, linear.bias)(x), linear(x))


@torch.inference_mode()
@pytest.mark.parametrize("activation", [functional.silu, gelu_tanh])
def test_a_packed_mlp_is_the_same_mlp(activation: Activation) -> None:
    mlp, x = GatedMLP(48, 64, activation).bfloat16(), drawn(32, 48)
    close(PackedGatedMLP(mlp.gate_up_proj.weight, mlp.down_proj.weight, activation)(x), mlp(x))


@torch.inference_mode()
def test_packed_experts_are_the_same_experts() -> None:
    experts, x = Experts(48, 24, 4).bfloat16(), drawn(40, 48)
    chosen, weights = torch.arange(80).view(40, 2) % 4, torch.rand(40, 2)
    close(PackedExperts(experts)(x, chosen, weights), experts(x, chosen, weights))


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_every_product_of_a_network_is_packed_but_the_router_and_the_head(family: str) -> None:
    network = FAMILIES[family].build(CONFIGS[family]).bfloat16()
    pack(network)
    routers = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    assert all(name == "lm_head" or ".router." in name for name in routers)
    assert not any(isinstance(module, GatedMLP | Experts) for module in network.modules())


def test_fp32_and_other_devices_stay_as_they_are() -> None:
    assert not can_pack(torch.float32, CPU)
    assert not can_pack(torch.bfloat16, torch.device("meta"))
