"""The network of the embedded models: a Qwen3-shaped transformer whose attention mask is the caller's choice.

Two things differ from Qwen3: ``num_layer_repeats`` runs the stack of layers several times with the same weights
(a looped transformer, arXiv 2311.12424), and ``position_embedding_type="learned"`` replaces RoPE by a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from dllm_worker.models import qwen3
from dllm_worker.models.blocks import Block, GatedMLP, SelfAttention
from dllm_worker.models.rotary import Rotary
from dllm_worker.models.specs.embedded import MODEL_TYPE, EmbeddedConfig, read_config
from dllm_worker.models.transformer import Family, Layout, Transformer

__all__ = ["FAMILY", "LAYOUT", "MODEL_TYPE", "EmbeddedConfig", "EmbeddedDenoiser", "build"]

LAYOUT: Layout = {**qwen3.LAYOUT, "embed_positions.weight": "model.embed_positions.weight"}


class EmbeddedDenoiser(Transformer):
    """A transformer that knows its ``config``, as training needs it."""

    def __init__(self, config: EmbeddedConfig) -> None:
        width, eps = config.hidden_size, config.rms_norm_eps
        heads, kv_heads, head_dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        learned = config.position_embedding_type == "learned"
        super().__init__(
            config.vocab_size,
            width,
            (
                Block(
                    width,
                    SelfAttention(width, heads, kv_heads, head_dim, norm_eps=eps),
                    GatedMLP(width, config.intermediate_size),
                    eps,
                )
                for _ in range(config.num_hidden_layers)
            ),
            eps,
            tied=config.tie_word_embeddings,
            rotary=None if learned else Rotary(head_dim, config.rope_theta),
            position_table=nn.Embedding(config.max_position_embeddings, width) if learned else None,
            repeats=config.num_layer_repeats,
        )
        self.config = config


def build(config: Mapping[str, Any]) -> EmbeddedDenoiser:
    """The network of ``config.json``, without weights."""
    return EmbeddedDenoiser(read_config(config))


FAMILY = Family(build, LAYOUT)
