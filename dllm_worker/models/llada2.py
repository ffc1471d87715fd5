"""The network of LLaDA2.0 and LLaDA2.1 (arXiv 2512.15745): sparse experts, QK-norm, RoPE on a part of each head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from dllm_worker.models.blocks import Block, GatedMLP, SelfAttention
from dllm_worker.models.experts import Experts, Router, SparseMLP
from dllm_worker.models.rotary import Rotary
from dllm_worker.models.specs.llada2 import LLaDA2Config, read_config
from dllm_worker.models.transformer import Family, Layout, Transformer

LAYOUT: Layout = {
    "embed_tokens.weight": "model.word_embeddings.weight",
    "layers.{layer}.input_layernorm.weight": "model.layers.{layer}.input_layernorm.weight",
    "layers.{layer}.self_attn.qkv_proj.weight": "model.layers.{layer}.attention.query_key_value.weight",
    "layers.{layer}.self_attn.q_norm.weight": "model.layers.{layer}.attention.query_layernorm.weight",
    "layers.{layer}.self_attn.k_norm.weight": "model.layers.{layer}.attention.key_layernorm.weight",
    "layers.{layer}.self_attn.o_proj.weight": "model.layers.{layer}.attention.dense.weight",
    "layers.{layer}.post_attention_layernorm.weight": "model.layers.{layer}.post_attention_layernorm.weight",
    "layers.{layer}.mlp.gate_up_proj.weight": (
        "model.layers.{layer}.mlp.gate_proj.weight",
        "model.layers.{layer}.mlp.up_proj.weight",
    ),
    "layers.{layer}.mlp.down_proj.weight": "model.layers.{layer}.mlp.down_proj.weight",
    "layers.{layer}.mlp.gate.weight": "model.layers.{layer}.mlp.gate.weight",
    "layers.{layer}.mlp.gate.expert_bias": "model.layers.{layer}.mlp.gate.expert_bias",
    "layers.{layer}.mlp.experts.gate_up_proj": (
        "model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight",
        "model.layers.{layer}.mlp.experts.{expert}.up_proj.weight",
    ),
    "layers.{layer}.mlp.experts.down_proj": "model.layers.{layer}.mlp.experts.{expert}.down_proj.weight",
    "layers.{layer}.mlp.shared_experts.gate_up_proj.weight": (
        "model.layers.{layer}.mlp.shared_experts.gate_proj.weight",
        "model.layers.{layer}.mlp.shared_experts.up_proj.weight",
    ),
    "layers.{layer}.mlp.shared_experts.down_proj.weight": "model.layers.{layer}.mlp.shared_experts.down_proj.weight",
    "norm.weight": "model.norm.weight",
    "lm_head.weight": "lm_head.weight",
}


def build(config: Mapping[str, Any]) -> Transformer:
    """The network of ``config.json``, without weights."""
    sizes = read_config(config)
    width, eps = sizes.hidden_size, sizes.rms_norm_eps
    heads, kv_heads, head_dim = sizes.num_attention_heads, sizes.num_key_value_heads, sizes.head_dim
    blocks = (
        Block(width, SelfAttention(width, heads, kv_heads, head_dim, norm_eps=eps), _feed_forward(sizes, layer), eps)
        for layer in range(sizes.num_hidden_layers)
    )
    rotary = Rotary(sizes.rotary_dim, sizes.rope_theta)
    return Transformer(sizes.vocab_size, width, blocks, eps, tied=sizes.tie_word_embeddings, rotary=rotary)


def _feed_forward(sizes: LLaDA2Config, layer: int) -> nn.Module:
    """The first layers are dense."""
    width, expert_width = sizes.hidden_size, sizes.moe_intermediate_size
    if layer < sizes.first_k_dense_replace:
        return GatedMLP(width, sizes.intermediate_size)
    router = Router(
        width,
        experts=sizes.num_experts,
        chosen=sizes.num_experts_per_tok,
        groups=sizes.n_group,
        kept=sizes.topk_group,
        scale=sizes.routed_scaling_factor,
    )
    experts = Experts(width, expert_width, sizes.num_experts)
    return SparseMLP(router, experts, GatedMLP(width, expert_width * sizes.num_shared_experts))


FAMILY = Family(build, LAYOUT)
