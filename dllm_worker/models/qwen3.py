"""Qwen3's network (arXiv 2505.09388), which SDAR and A2D-Qwen3 run with their own attention mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dllm_worker.models.blocks import Block, GatedMLP, SelfAttention
from dllm_worker.models.specs.qwen3 import read_config
from dllm_worker.models.transformer import Family, Layout, Rotary, Transformer

LAYOUT: Layout = {
    "embed_tokens.weight": "model.embed_tokens.weight",
    "layers.{layer}.input_layernorm.weight": "model.layers.{layer}.input_layernorm.weight",
    "layers.{layer}.self_attn.qkv_proj.weight": (
        "model.layers.{layer}.self_attn.q_proj.weight",
        "model.layers.{layer}.self_attn.k_proj.weight",
        "model.layers.{layer}.self_attn.v_proj.weight",
    ),
    "layers.{layer}.self_attn.q_norm.weight": "model.layers.{layer}.self_attn.q_norm.weight",
    "layers.{layer}.self_attn.k_norm.weight": "model.layers.{layer}.self_attn.k_norm.weight",
    "layers.{layer}.self_attn.o_proj.weight": "model.layers.{layer}.self_attn.o_proj.weight",
    "layers.{layer}.post_attention_layernorm.weight": "model.layers.{layer}.post_attention_layernorm.weight",
    "layers.{layer}.mlp.gate_up_proj.weight": (
        "model.layers.{layer}.mlp.gate_proj.weight",
        "model.layers.{layer}.mlp.up_proj.weight",
    ),
    "layers.{layer}.mlp.down_proj.weight": "model.layers.{layer}.mlp.down_proj.weight",
    "norm.weight": "model.norm.weight",
    "lm_head.weight": "lm_head.weight",
}


def build(config: Mapping[str, Any]) -> Transformer:
    """The network of ``config.json``, without weights."""
    sizes = read_config(config)
    width, eps = sizes.hidden_size, sizes.rms_norm_eps
    heads, kv_heads, head_dim = sizes.num_attention_heads, sizes.num_key_value_heads, sizes.head_dim
    blocks = (
        Block(
            width,
            SelfAttention(width, heads, kv_heads, head_dim, norm_eps=eps),
            GatedMLP(width, sizes.intermediate_size),
            eps,
        )
        for _ in range(sizes.num_hidden_layers)
    )
    rotary = Rotary(head_dim, sizes.rope_theta)
    return Transformer(sizes.vocab_size, width, blocks, eps, tied=sizes.tie_word_embeddings, rotary=rotary)


FAMILY = Family(build, LAYOUT)
