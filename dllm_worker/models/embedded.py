"""The family of the embedded models: a Qwen3-shaped transformer whose attention mask is the caller's choice.

Two things differ from Qwen3: ``num_layer_repeats`` runs the stack of layers several times with the same weights
(a looped transformer, arXiv 2311.12424), and ``position_embedding_type="learned"`` replaces RoPE by a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from torch import Tensor, nn

from dllm_worker.cache.pages import CacheShape
from dllm_worker.models.blocks import Attend, Block, RMSNorm, rotary_frequencies
from dllm_worker.spec import ModelSpec

MODEL_TYPE = "dllm_embedded"


@dataclass(frozen=True, slots=True)
class EmbeddedConfig:
    """The fields of ``config.json`` that shape the network."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    num_layer_repeats: int = 1
    position_embedding_type: Literal["rotary", "learned"] = "rotary"
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = True

    @property
    def depth(self) -> int:
        """Layers that a row passes, and so the number of key/value planes in the cache."""
        return self.num_hidden_layers * self.num_layer_repeats


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


def read_config(config: Mapping[str, Any]) -> EmbeddedConfig:
    """Pick the network's fields out of ``config.json``; a missing one is a ``KeyError`` naming it."""
    wanted = [field.name for field in fields(EmbeddedConfig) if field.name in config or field.default is MISSING]
    return EmbeddedConfig(**{name: config[name] for name in wanted})


def build(config: Mapping[str, Any]) -> EmbeddedDenoiser:
    """The network of ``config.json``, without weights."""
    return EmbeddedDenoiser(read_config(config))


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """``canvas`` is the one object of ``config.json`` that transformers' configurations do not know."""
    network, canvas = read_config(config), config["canvas"]
    eos = config["eos_token_id"]
    return ModelSpec(
        family=MODEL_TYPE,
        vocab_size=network.vocab_size,
        corruption="absorbing",
        mask_token_id=config["mask_token_id"],
        eos_token_ids=tuple(eos) if isinstance(eos, list) else (eos,),
        suppressed_token_ids=tuple(config["suppress_tokens"]),
        canvas_length=canvas["length"],
        max_canvas_length=canvas["max_length"],
        canvas_anchor=canvas["anchor"],
        context_attention=canvas["context_attention"],
        max_position=network.max_position_embeddings,
    )
