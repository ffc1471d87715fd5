"""Weights in the order in which oneDNN multiplies them, which for bf16 on the CPU is not the order they are stored in.

A plain product of few rows spends as long on reordering its weight as on multiplying. Packed, a weight is reordered
once, after it is loaded; the products are the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from dllm_worker.models.blocks import Activation, FullPrecision, GatedMLP
from dllm_worker.models.diffusion_gemma import gelu_tanh
from dllm_worker.models.experts import Experts, Mixture
from dllm_worker.models.transformer import Network
from dllm_worker.shapes import ROW_BUCKET

ROWS = 2 * ROW_BUCKET
"""The number of rows that the order is chosen for. Every other number works with it."""
POST_OPERATIONS: Mapping[Activation, tuple[str, str]] = {functional.silu: ("swish", ""), gelu_tanh: ("gelu", "tanh")}
"""oneDNN's name for an activation, and for the variant of it."""


def can_pack(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a network of this kind gains by packing and this machine can do it."""
    return dtype is torch.bfloat16 and device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def pack(network: Network) -> None:
    """Exchange the linear maps of ``network``, but not its embeddings, for packed ones; the stored ones are dropped."""
    for name, child in network.named_children():
        if name != "lm_head":
            _pack_children(child)


def _pack_children(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        packed = _packed(child)
        if packed is not None:
            setattr(module, name, packed)
        elif not isinstance(child, FullPrecision):
            _pack_children(child)


def _packed(module: nn.Module) -> nn.Module | None:
    if isinstance(module, GatedMLP) and module.activation in POST_OPERATIONS:
        return PackedGatedMLP(module.gate_up_proj.weight, module.down_proj.weight, module.activation)
    if isinstance(module, Experts) and module.activation in POST_OPERATIONS:
        return PackedExperts(module)
    return PackedLinear(module.weight, module.bias) if isinstance(module, nn.Linear) else None


class PackedLinear(nn.Module):
    """As ``nn.Linear``; ``weight`` still says that it is ``[out, in]``, but cannot be read."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight, self.bias = _reordered(weight), bias

    def forward(self, x: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return product


class PackedGatedMLP(nn.Module):
    """As ``GatedMLP``; the activation and the product of gate and up projection are taken where these are computed."""

    def __init__(self, gate_up: Tensor, down: Tensor, activation: Activation) -> None:
        super().__init__()
        gate, up = gate_up.chunk(2)
        self.gate_proj, self.up_proj, self.down_proj = _reordered(gate), _reordered(up), _reordered(down)
        self.post_operation, self.variant = POST_OPERATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.ops.mkldnn._linear_pointwise(x, self.gate_proj, None, self.post_operation, [], self.variant)
        widened = torch.ops.mkldnn._linear_pointwise.binary(x, gate, self.up_proj, None, "mul")
        product: Tensor = torch.ops.mkldnn._linear_pointwise(widened, self.down_proj, None, "none", [], "")
        return product


class PackedExperts(Mixture):
    """As ``Experts``, every one packed by itself."""

    def __init__(self, experts: Experts) -> None:
        super().__init__()
        self.count = experts.count
        weights = zip(experts.gate_up_proj, experts.down_proj, strict=True)
        self.mlps = nn.ModuleList(PackedGatedMLP(gate_up, down, experts.activation) for gate_up, down in weights)

    def run(self, expert: int, rows: Tensor) -> Tensor:
        product: Tensor = self.mlps[expert](rows)
        return product


def _reordered(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(torch.ops.mkldnn._reorder_linear_weight(weight.data.contiguous(), ROWS), requires_grad=False)
