"""What ``config.json`` of an embedded model says: the shape of the network and the facts of its canvas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from dllm_worker.models.specs.fields import eos_token_ids
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


def read_config(config: Mapping[str, Any]) -> EmbeddedConfig:
    """Pick the network's fields out of ``config.json``; a missing one is a ``KeyError`` naming it."""
    wanted = [field.name for field in fields(EmbeddedConfig) if field.name in config or field.default is MISSING]
    return EmbeddedConfig(**{name: config[name] for name in wanted})


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """``canvas`` is the one object of ``config.json`` that transformers' configurations do not know."""
    network, canvas = read_config(config), config["canvas"]
    return ModelSpec(
        family=MODEL_TYPE,
        vocab_size=network.vocab_size,
        corruption="absorbing",
        mask_token_id=config["mask_token_id"],
        eos_token_ids=eos_token_ids(config),
        suppressed_token_ids=tuple(config["suppress_tokens"]),
        canvas_length=canvas["length"],
        max_canvas_length=canvas["max_length"],
        canvas_anchor=canvas["anchor"],
        context_attention=canvas["context_attention"],
        max_position=network.max_position_embeddings,
    )
