"""Transformer blocks shared by the families. They work on packed rows, so attention is a function argument.

A *row* is one position of one request. Everything except attention treats rows alike; who may look at whom is
known only to the caller, which passes an ``Attend``: the engine attends to cached pages, training to a dense batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from dllm_worker.cache.shape import LayerShape
from dllm_worker.models.rotary import Rotation

Activation = Callable[[Tensor], Tensor]


class Attend(Protocol):
    """Who looks at whom. ``scale`` multiplies the products of queries and keys; ``None`` is ``dim ** -0.5``."""

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        """``query`` is ``[rows, heads, dim]``, ``key`` and ``value`` ``[rows, kv_heads, dim]``; as the query."""


class FullPrecision(nn.Module):
    """A module whose parameters stay fp32 whatever the model's dtype."""


class Layer(nn.Module):
    """One layer of a network, which keeps ``cache_shape`` of each position."""

    cache_shape: LayerShape


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last dimension with a learned scale (arXiv 1910.07467)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


class FusedLinear(nn.Linear):
    """Several projections of one input in one matrix; ``widths`` are the rows of each, in order."""

    def __init__(self, width: int, widths: tuple[int, ...], *, bias: bool = False) -> None:
        super().__init__(width, sum(widths), bias=bias)
        self.widths = widths


class GatedMLP(nn.Module):
    """Gated feed-forward (arXiv 2002.05202), gate and up projections fused in one matrix."""

    def __init__(self, hidden_size: int, intermediate_size: int, activation: Activation = functional.silu) -> None:
        super().__init__()
        self.gate_up_proj = FusedLinear(hidden_size, (intermediate_size, intermediate_size))
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        projected: Tensor = self.down_proj(self.activation(gate) * up)
        return projected


class SelfAttention(nn.Module):
    """Grouped-query attention (arXiv 2305.13245); projections fused as ``[queries; keys; values]``.

    With ``norm_eps`` each head's queries and keys are RMS-normalised before RoPE (QK-norm, arXiv 2302.05442).
    """

    def __init__(
        self, hidden_size: int, heads: int, kv_heads: int, head_dim: int, norm_eps: float | None, *, bias: bool = False
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        widths = (heads * head_dim, kv_heads * head_dim, kv_heads * head_dim)
        self.qkv_proj = FusedLinear(hidden_size, widths, bias=bias)
        self.o_proj = nn.Linear(heads * head_dim, hidden_size, bias=False)
        self.q_norm = nn.Identity() if norm_eps is None else RMSNorm(head_dim, norm_eps)
        self.k_norm = nn.Identity() if norm_eps is None else RMSNorm(head_dim, norm_eps)

    def forward(self, layer: int, x: Tensor, rotation: Rotation | None, attend: Attend) -> Tensor:
        packed = self.qkv_proj(x).view(x.shape[0], -1, self.head_dim)
        query, key, value = packed.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
        query, key = self.q_norm(query), self.k_norm(key)
        if rotation is not None:
            query, key = rotation.turn_query(query), rotation.turn(key)
        projected: Tensor = self.o_proj(attend(layer, query, key, value).flatten(1))
        return projected


class Block(Layer):
    """Pre-norm transformer block: attention, then feed-forward, each added to the residual stream."""

    def __init__(self, hidden_size: int, attention: SelfAttention, mlp: nn.Module, eps: float) -> None:
        super().__init__()
        self.cache_shape = LayerShape(attention.kv_heads, attention.head_dim)
        self.input_layernorm = RMSNorm(hidden_size, eps)
        self.self_attn = attention
        self.post_attention_layernorm = RMSNorm(hidden_size, eps)
        self.mlp = mlp

    def forward(self, layer: int, x: Tensor, rotation: Rotation | None, attend: Attend) -> Tensor:
        x = x + self.self_attn(layer, self.input_layernorm(x), rotation, attend)
        widened: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return widened
