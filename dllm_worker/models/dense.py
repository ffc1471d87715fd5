"""Dense transformers in the shape of Llama, which most families have; each says what it adds to that."""

from __future__ import annotations

from dllm_worker.models.blocks import Block, GatedMLP, SelfAttention
from dllm_worker.models.rotary import Rotary
from dllm_worker.models.specs.dense import DenseConfig
from dllm_worker.models.transformer import Layout, Transformer


def layout(body: str, head: str) -> Layout:
    """Where Llama's names are kept, with ``body`` and ``head`` in the place of ``model`` and ``lm_head``."""
    layer = f"{body}.layers.{{layer}}"
    return {
        "embed_tokens.weight": f"{body}.embed_tokens.weight",
        "layers.{layer}.input_layernorm.weight": f"{layer}.input_layernorm.weight",
        "layers.{layer}.self_attn.qkv_proj.weight": (
            f"{layer}.self_attn.q_proj.weight",
            f"{layer}.self_attn.k_proj.weight",
            f"{layer}.self_attn.v_proj.weight",
        ),
        "layers.{layer}.self_attn.o_proj.weight": f"{layer}.self_attn.o_proj.weight",
        "layers.{layer}.post_attention_layernorm.weight": f"{layer}.post_attention_layernorm.weight",
        "layers.{layer}.mlp.gate_up_proj.weight": (f"{layer}.mlp.gate_proj.weight", f"{layer}.mlp.up_proj.weight"),
        "layers.{layer}.mlp.down_proj.weight": f"{layer}.mlp.down_proj.weight",
        "norm.weight": f"{body}.norm.weight",
        "lm_head.weight": f"{head}.weight",
    }


def build(sizes: DenseConfig, rotary: Rotary, *, qk_norm: bool = False, bias: bool = False) -> Transformer:
    """A network without weights; ``bias`` is that of the projections to queries, keys and values."""
    width, eps = sizes.hidden_size, sizes.rms_norm_eps
    heads, kv_heads, head_dim = sizes.num_attention_heads, sizes.num_key_value_heads, sizes.head_dim
    blocks = (
        Block(
            width,
            SelfAttention(width, heads, kv_heads, head_dim, norm_eps=eps if qk_norm else None, bias=bias),
            GatedMLP(width, sizes.intermediate_size),
            eps,
        )
        for _ in range(sizes.num_hidden_layers)
    )
    return Transformer(sizes.vocab_size, width, blocks, eps, tied=sizes.tie_word_embeddings, rotary=rotary)
