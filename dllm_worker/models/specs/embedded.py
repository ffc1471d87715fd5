"""What ``config.json`` of an embedded model says: the shape of the network and the facts of its canvas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dllm_worker.models.specs.dense import check_heads
from dllm_worker.models.specs.fields import (
    LARGEST_CONTEXT,
    LARGEST_DEPTH,
    choice,
    flag,
    number,
    section,
    token_ids,
    whole,
)
from dllm_worker.models.specs.masked import mask_token_id
from dllm_worker.models.specs.reader import SpecReader
from dllm_worker.request import SamplingParameters
from dllm_worker.spec import CanvasAnchor, ContextAttention, ModelSpec, SpecError

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

    def __post_init__(self) -> None:
        check_heads(self.num_attention_heads, self.num_key_value_heads, self.head_dim)

    @property
    def depth(self) -> int:
        """Layers that a row passes, and so the number of key/value planes in the cache."""
        return self.num_hidden_layers * self.num_layer_repeats


def read_config(config: Mapping[str, Any]) -> EmbeddedConfig:
    """Pick the network's fields out of ``config.json``; a missing one is a ``KeyError`` naming it."""
    layers = whole(config, "num_hidden_layers", most=LARGEST_DEPTH)
    return EmbeddedConfig(
        vocab_size=whole(config, "vocab_size"),
        hidden_size=whole(config, "hidden_size"),
        intermediate_size=whole(config, "intermediate_size"),
        num_hidden_layers=layers,
        num_attention_heads=whole(config, "num_attention_heads"),
        num_key_value_heads=whole(config, "num_key_value_heads"),
        head_dim=whole(config, "head_dim"),
        max_position_embeddings=whole(config, "max_position_embeddings", most=LARGEST_CONTEXT),
        num_layer_repeats=whole(config, "num_layer_repeats", 1, most=LARGEST_DEPTH // layers),
        position_embedding_type=choice(config, "position_embedding_type", ("rotary", "learned"), "rotary"),
        rope_theta=number(config, "rope_theta", 10_000.0, above=1.0),
        rms_norm_eps=number(config, "rms_norm_eps", 1e-6),
        tie_word_embeddings=flag(config, "tie_word_embeddings", default=True),
    )


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """``canvas`` is the one object of ``config.json`` that transformers' configurations do not know."""
    network, canvas = read_config(config), section(config, "canvas")
    return ModelSpec(
        family=MODEL_TYPE,
        vocab_size=network.vocab_size,
        corruption="absorbing",
        mask_token_id=mask_token_id(config),
        eos_token_ids=token_ids(config, "eos_token_id"),
        suppressed_token_ids=token_ids(config, "suppress_tokens"),
        canvas_length=whole(canvas, "length"),
        max_canvas_length=whole(canvas, "max_length"),
        canvas_anchor=choice(canvas, "anchor", get_args(CanvasAnchor)),
        context_attention=choice(canvas, "context_attention", get_args(ContextAttention)),
        max_position=network.max_position_embeddings,
        other_attentions=_other_attentions(canvas),
    )


def _other_attentions(canvas: Mapping[str, Any]) -> tuple[ContextAttention, ...]:
    stated = canvas.get("attentions", [])
    if not isinstance(stated, list):
        raise SpecError(f"attentions is {stated!r}; it has to be a list")
    return tuple(choice({"attentions": attention}, "attentions", get_args(ContextAttention)) for attention in stated)


READER = SpecReader(read_spec, SamplingParameters())
