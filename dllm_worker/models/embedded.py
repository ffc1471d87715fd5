"""The network of the embedded models: a Qwen3-shaped transformer whose attention mask is the caller's choice.

Two things differ from Qwen3: ``num_layer_repeats`` runs the stack of layers several times with the same weights
(a looped transformer, arXiv 2311.12424), and ``position_embedding_type="learned"`` replaces RoPE by a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from dllm_worker.cache.pages import CacheShape
from dllm_worker.models.blocks import Attend, Block, RMSNorm, rotary_frequencies
from dllm_worker.models.embedded_config import MODEL_TYPE, EmbeddedConfig, read_config

__all__ = ["MODEL_TYPE", "EmbeddedConfig", "EmbeddedDenoiser", "build"]


class EmbeddedDenoiser(nn.Module):
    """Rows in, hidden rows out; ``head`` holds the output embedding ``[vocab, hidden]``."""

    def __init__(self, config: EmbeddedConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        if config.position_embedding_type == "learned":
            self.embed_positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.layers = nn.ModuleList(
            Block(
                config.hidden_size,
                config.intermediate_size,
                config.num_attention_heads,
                config.num_key_value_heads,
                config.head_dim,
                config.rms_norm_eps,
            )
            for _ in range(config.num_hidden_layers)
        )
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.tie_weights()

    def tie_weights(self) -> None:
        """Let input and output embedding be one tensor again, where the configuration says so."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.embed_tokens.weight

    @property
    def output_embedding(self) -> Tensor:
        """``[vocab, hidden]``."""
        return self.lm_head.weight

    @property
    def cache_shape(self) -> CacheShape:
        """What one cached position holds."""
        return CacheShape(self.config.depth, self.config.num_key_value_heads, self.config.head_dim)

    def forward(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """``token_ids`` and ``positions`` are int64 ``[rows]``; the result ``[rows, hidden]`` is normed."""
        x: Tensor = self.embed_tokens(token_ids)
        rotation = None
        if self.config.position_embedding_type == "learned":
            x = x + self.embed_positions(positions)
        else:
            frequencies = rotary_frequencies(self.config.head_dim, self.config.rope_theta, x.device)
            angles = positions[:, None].float() * frequencies
            rotation = (angles.cos(), angles.sin())
        for layer in range(self.config.depth):
            x = self.layers[layer % len(self.layers)](layer, x, rotation, attend)
        normed: Tensor = self.norm(x)
        return normed


def build(config: Mapping[str, Any]) -> EmbeddedDenoiser:
    """The network of ``config.json``, without weights."""
    return EmbeddedDenoiser(read_config(config))
