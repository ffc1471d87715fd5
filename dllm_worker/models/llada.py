"""LLaDA's network (arXiv 2502.09992): Llama blocks without a causal mask, under OLMo's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dllm_worker.models import dense
from dllm_worker.models.rotary import Rotary
from dllm_worker.models.specs.llada import read_config
from dllm_worker.models.transformer import Family, Layout, Transformer

LAYOUT: Layout = {
    "embed_tokens.weight": "model.transformer.wte.weight",
    "layers.{layer}.input_layernorm.weight": "model.transformer.blocks.{layer}.attn_norm.weight",
    "layers.{layer}.self_attn.qkv_proj.weight": (
        "model.transformer.blocks.{layer}.q_proj.weight",
        "model.transformer.blocks.{layer}.k_proj.weight",
        "model.transformer.blocks.{layer}.v_proj.weight",
    ),
    "layers.{layer}.self_attn.o_proj.weight": "model.transformer.blocks.{layer}.attn_out.weight",
    "layers.{layer}.post_attention_layernorm.weight": "model.transformer.blocks.{layer}.ff_norm.weight",
    "layers.{layer}.mlp.gate_up_proj.weight": (
        "model.transformer.blocks.{layer}.ff_proj.weight",
        "model.transformer.blocks.{layer}.up_proj.weight",
    ),
    "layers.{layer}.mlp.down_proj.weight": "model.transformer.blocks.{layer}.ff_out.weight",
    "norm.weight": "model.transformer.ln_f.weight",
    "lm_head.weight": "model.transformer.ff_out.weight",
}


def build(config: Mapping[str, Any]) -> Transformer:
    """The network of ``config.json``, without weights."""
    sizes = read_config(config)
    return dense.build(sizes, Rotary(sizes.head_dim, sizes.rope_theta))


FAMILY = Family(build, LAYOUT)
