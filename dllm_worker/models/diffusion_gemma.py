"""DiffusionGemma's network: one Gemma 4 backbone of sparse experts that encodes the context and denoises the canvas.

Rows of a canvas differ from rows of the context in three things: they take in what the previous step made of them
(self-conditioning, arXiv 2208.04202), each layer scales them by a number of its own, and who they look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dllm_worker.cache.shape import LayerShape
from dllm_worker.models.blocks import Attend, FullPrecision, FusedLinear, GatedMLP, Layer, RMSNorm
from dllm_worker.models.experts import Experts
from dllm_worker.models.head import Head
from dllm_worker.models.rotary import ProportionalRotary, Rotation
from dllm_worker.models.rows import Rows
from dllm_worker.models.specs.diffusion_gemma import GemmaConfig, GemmaLayer, read_config
from dllm_worker.models.transformer import Family, Layout, Network

LAYER = "model.decoder.layers.{layer}"
LAYOUT: Layout = {
    "embed_tokens.weight": "model.decoder.embed_tokens.weight",
    "self_conditioning.pre_norm.weight": "model.decoder.self_conditioning.pre_norm.weight",
    "self_conditioning.mlp.gate_up_proj.weight": (
        "model.decoder.self_conditioning.gate_proj.weight",
        "model.decoder.self_conditioning.up_proj.weight",
    ),
    "self_conditioning.mlp.down_proj.weight": "model.decoder.self_conditioning.down_proj.weight",
    "layers.{layer}.context_scalar": "model.encoder.language_model.layers.{layer}.layer_scalar",
    "layers.{layer}.canvas_scalar": f"{LAYER}.layer_scalar",
    "layers.{layer}.self_attn.qkv_proj.weight": (
        f"{LAYER}.self_attn.q_proj.weight",
        f"{LAYER}.self_attn.k_proj.weight",
        f"{LAYER}.self_attn.v_proj.weight",
    ),
    "layers.{layer}.self_attn.qk_proj.weight": (f"{LAYER}.self_attn.q_proj.weight", f"{LAYER}.self_attn.k_proj.weight"),
    **{
        f"layers.{{layer}}.{name}.weight": f"{LAYER}.{name}.weight"
        for name in (
            "input_layernorm",
            "self_attn.q_norm",
            "self_attn.k_norm",
            "self_attn.o_proj",
            "post_attention_layernorm",
            "pre_feedforward_layernorm",
            "post_feedforward_layernorm_1",
            "pre_feedforward_layernorm_2",
            "post_feedforward_layernorm_2",
            "post_feedforward_layernorm",
            "mlp.down_proj",
            "router.proj",
        )
    },
    "layers.{layer}.mlp.gate_up_proj.weight": (f"{LAYER}.mlp.gate_proj.weight", f"{LAYER}.mlp.up_proj.weight"),
    "layers.{layer}.router.scale": f"{LAYER}.router.scale",
    "layers.{layer}.router.per_expert_scale": f"{LAYER}.router.per_expert_scale",
    "layers.{layer}.experts.gate_up_proj": f"{LAYER}.experts.gate_up_proj",
    "layers.{layer}.experts.down_proj": f"{LAYER}.experts.down_proj",
    "norm.weight": "model.decoder.norm.weight",
    "lm_head.weight": "lm_head.weight",
}
UNUSED = ("model.encoder.vision_tower.", "model.encoder.embed_vision.")
"""Images are not served."""

gelu_tanh = partial(functional.gelu, approximate="tanh")


def normed(x: Tensor, eps: float) -> Tensor:
    """``x`` RMS-normalised over its last dimension, without a scale."""
    return functional.rms_norm(x, x.shape[-1:], eps=eps)


class Attention(nn.Module):
    """Grouped-query attention with QK-norm and normed values, whose scores are not scaled.

    Without a window, the keys before their norm are the values: there is no projection to values.
    """

    def __init__(self, hidden_size: int, heads: int, shape: GemmaLayer, eps: float) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim, self.eps = heads, shape.kv_heads, shape.head_dim, eps
        query, key = heads * shape.head_dim, shape.kv_heads * shape.head_dim
        if shape.window is None:
            self.qk_proj = FusedLinear(hidden_size, (query, key))
        else:
            self.qkv_proj = FusedLinear(hidden_size, (query, key, key))
        self.shared = shape.window is None
        self.o_proj = nn.Linear(query, hidden_size, bias=False)
        self.q_norm, self.k_norm = RMSNorm(shape.head_dim, eps), RMSNorm(shape.head_dim, eps)

    def forward(self, layer: int, x: Tensor, rotation: Rotation, attend: Attend) -> Tensor:
        packed = (self.qk_proj if self.shared else self.qkv_proj)(x).view(x.shape[0], -1, self.head_dim)
        query, key = packed[:, : self.heads], packed[:, self.heads : self.heads + self.kv_heads]
        value = key if self.shared else packed[:, self.heads + self.kv_heads :]
        query, key = rotation.turn(self.q_norm(query)), rotation.turn(self.k_norm(key))
        projected: Tensor = self.o_proj(attend(layer, query, key, normed(value, self.eps), scale=1.0).flatten(1))
        return projected


class Router(FullPrecision):
    """The ``chosen`` experts of the highest softmax scores, whose shares are scaled expert by expert."""

    def __init__(self, hidden_size: int, experts: int, chosen: int, eps: float) -> None:
        super().__init__()
        self.chosen, self.eps = chosen, eps
        self.scale = nn.Parameter(torch.ones(hidden_size))
        self.proj = nn.Linear(hidden_size, experts, bias=False)
        self.per_expert_scale = nn.Parameter(torch.ones(experts))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For ``x [rows, hidden]`` the experts, int64, and their weights, fp32, both ``[rows, chosen]``."""
        scaled = normed(x.float(), self.eps) * self.scale * x.shape[-1] ** -0.5
        best = self.proj(scaled).softmax(-1).topk(self.chosen, dim=-1)
        shares = best.values / best.values.sum(-1, keepdim=True)
        return best.indices, shares * self.per_expert_scale[best.indices]


class GemmaBlock(Layer):
    """Attention, then a dense MLP and experts beside each other, each between two norms.

    The result is multiplied by ``canvas_scalar`` in the rows of a canvas and by ``context_scalar`` in the others.
    """

    def __init__(self, sizes: GemmaConfig, shape: GemmaLayer) -> None:
        super().__init__()
        width, eps = sizes.hidden_size, sizes.rms_norm_eps
        self.cache_shape = LayerShape(shape.kv_heads, shape.head_dim, shape.window)
        self.input_layernorm = RMSNorm(width, eps)
        self.self_attn = Attention(width, sizes.num_attention_heads, shape, eps)
        self.post_attention_layernorm = RMSNorm(width, eps)
        self.pre_feedforward_layernorm = RMSNorm(width, eps)
        self.mlp = GatedMLP(width, sizes.intermediate_size, gelu_tanh)
        self.post_feedforward_layernorm_1 = RMSNorm(width, eps)
        self.router = Router(width, sizes.num_experts, sizes.top_k_experts, eps)
        self.pre_feedforward_layernorm_2 = RMSNorm(width, eps)
        self.experts = Experts(width, sizes.moe_intermediate_size, sizes.num_experts, gelu_tanh)
        self.post_feedforward_layernorm_2 = RMSNorm(width, eps)
        self.post_feedforward_layernorm = RMSNorm(width, eps)
        self.context_scalar = nn.Parameter(torch.ones(1))
        self.canvas_scalar = nn.Parameter(torch.ones(1))

    def forward(self, layer: int, x: Tensor, denoised: Tensor, rotation: Rotation, attend: Attend) -> Tensor:
        attended = self.self_attn(layer, self.input_layernorm(x), rotation, attend)
        x = x + self.post_attention_layernorm(attended)
        dense = self.post_feedforward_layernorm_1(self.mlp(self.pre_feedforward_layernorm(x)))
        routed = self.experts(self.pre_feedforward_layernorm_2(x), *self.router(x))
        sparse = self.post_feedforward_layernorm_2(routed)
        scalar = torch.where(denoised, self.canvas_scalar, self.context_scalar)
        widened: Tensor = (x + self.post_feedforward_layernorm(dense + sparse)) * scalar[:, None]
        return widened


class SelfConditioning(nn.Module):
    """Adds to the embedding of a canvas what the previous step expected there."""

    def __init__(self, hidden_size: int, intermediate_size: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.pre_norm = RMSNorm(hidden_size, eps)
        self.mlp = GatedMLP(hidden_size, intermediate_size, gelu_tanh)

    def forward(self, x: Tensor, soft: Tensor) -> Tensor:
        return normed(x + self.mlp(self.pre_norm(soft)), self.eps)


class DiffusionGemma(Network):
    """Takes ``Rows`` with conditioning; its head bends logits."""

    def __init__(self, sizes: GemmaConfig) -> None:
        width, eps = sizes.hidden_size, sizes.rms_norm_eps
        blocks = (GemmaBlock(sizes, shape) for shape in sizes.layers)
        super().__init__(sizes.vocab_size, width, blocks, eps, tied=True)
        self.self_conditioning = SelfConditioning(width, sizes.intermediate_size, eps)
        self.rotaries = tuple(ProportionalRotary(x.head_dim, x.rope_theta, x.turned_pairs) for x in sizes.layers)
        self.cap = sizes.logit_cap

    @property
    def head(self) -> Head:
        return Head(self.lm_head.weight, self.cap, self.row_tile)

    @property
    def stretch(self) -> float:
        """What embeddings are multiplied by: the root of their width, rounded as the weights are."""
        return float(torch.tensor(self.input_embedding.shape[1] ** 0.5, dtype=self.input_embedding.dtype))

    def forward(self, rows: Rows, attend: Attend) -> Tensor:
        if rows.conditioning is None:
            raise ValueError("DiffusionGemma has to be told which rows belong to a canvas")
        denoised = rows.conditioning.denoised
        x = self.embed_tokens(rows.token_ids) * self.stretch
        conditioned = self.self_conditioning(x, rows.conditioning.soft.to(x.dtype) * self.stretch)
        x = torch.where(denoised[:, None], conditioned, x)
        rotations = {rotary: rotary.rotation(rows.positions).to(x.dtype) for rotary in set(self.rotaries)}
        for layer, (block, rotary) in enumerate(zip(self.layers, self.rotaries, strict=True)):
            x = block(layer, x, denoised, rotations[rotary], attend)
        result: Tensor = self.norm(x)
        return result


def build(config: Mapping[str, Any]) -> DiffusionGemma:
    """The network of ``config.json``, without weights."""
    return DiffusionGemma(read_config(config))


FAMILY = Family(build, LAYOUT, UNUSED)
