"""Transformer blocks shared by the families. They work on packed rows, so attention is a function argument.

A *row* is one position of one request. Everything except attention treats rows alike; who may look at whom is
known only to the caller, which passes an ``Attend``: the engine attends to cached pages, training to a dense batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""``(layer, query [rows, heads, dim], key and value [rows, kv_heads, dim]) -> [rows, heads, dim]``"""


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last dimension with a learned scale (arXiv 1910.07467)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


def rotary_frequencies(head_dim: int, theta: float, device: torch.device | None = None) -> Tensor:
    """Inverse frequencies ``[head_dim / 2]``, fp32 (RoPE, arXiv 2104.09864)."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim
    return theta**-exponents


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn ``x [rows, heads, dim]`` by the angles of its rows; ``cosine`` and ``sine`` are ``[rows, width / 2]``.

    The first ``width`` dimensions of a head are turned, its halves against each other; the others stay.
    """
    half = cosine.shape[-1]
    left, right, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    cosine, sine = cosine[:, None].to(x.dtype), sine[:, None].to(x.dtype)
    return torch.cat((left * cosine - right * sine, right * cosine + left * sine, rest), dim=-1)


class FusedLinear(nn.Linear):
    """Several projections of one input in one matrix without bias; ``widths`` are the rows of each, in order."""

    def __init__(self, width: int, widths: tuple[int, ...]) -> None:
        super().__init__(width, sum(widths), bias=False)
        self.widths = widths


class GatedMLP(nn.Module):
    """SwiGLU feed-forward, gate and up projections fused in one matrix (arXiv 2002.05202)."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate_up_proj = FusedLinear(hidden_size, (intermediate_size, intermediate_size))
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        projected: Tensor = self.down_proj(functional.silu(gate) * up)
        return projected


class SelfAttention(nn.Module):
    """Grouped-query attention (arXiv 2305.13245); projections fused as ``[queries; keys; values]``.

    With ``norm_eps`` each head's queries and keys are RMS-normalised before RoPE (QK-norm, arXiv 2302.05442).
    """

    def __init__(self, hidden_size: int, heads: int, kv_heads: int, head_dim: int, norm_eps: float | None) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.qkv_proj = FusedLinear(hidden_size, (heads * head_dim, kv_heads * head_dim, kv_heads * head_dim))
        self.o_proj = nn.Linear(heads * head_dim, hidden_size, bias=False)
        self.q_norm = nn.Identity() if norm_eps is None else RMSNorm(head_dim, norm_eps)
        self.k_norm = nn.Identity() if norm_eps is None else RMSNorm(head_dim, norm_eps)

    def forward(self, layer: int, x: Tensor, rotation: tuple[Tensor, Tensor] | None, attend: Attend) -> Tensor:
        packed = self.qkv_proj(x).view(x.shape[0], -1, self.head_dim)
        query, key, value = packed.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
        query, key = self.q_norm(query), self.k_norm(key)
        if rotation is not None:
            query, key = rotate(query, *rotation), rotate(key, *rotation)
        projected: Tensor = self.o_proj(attend(layer, query, key, value).flatten(1))
        return projected


class Block(nn.Module):
    """Pre-norm transformer block: attention, then feed-forward, each added to the residual stream."""

    def __init__(self, hidden_size: int, attention: SelfAttention, mlp: nn.Module, eps: float) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(hidden_size, eps)
        self.self_attn = attention
        self.post_attention_layernorm = RMSNorm(hidden_size, eps)
        self.mlp = mlp

    def forward(self, layer: int, x: Tensor, rotation: tuple[Tensor, Tensor] | None, attend: Attend) -> Tensor:
        x = x + self.self_attn(layer, self.input_layernorm(x), rotation, attend)
        widened: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return widened
