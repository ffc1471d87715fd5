"""The sizes of a dense transformer in the shape of Llama."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dllm_worker.models.specs.fields import LARGEST_DEPTH, LARGEST_WIDTH, flag, number, rope_theta, whole
from dllm_worker.spec import SpecError


@dataclass(frozen=True, slots=True)
class DenseConfig:
    """The fields of ``config.json`` that shape the network."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    tie_word_embeddings: bool

    def __post_init__(self) -> None:
        check_heads(self.num_attention_heads, self.num_key_value_heads, self.head_dim)


def read_dense(config: Mapping[str, Any], theta: float | None = None) -> DenseConfig:
    """Pick the sizes under the names that transformers gives them; ``theta`` where it is not in the usual place."""
    return DenseConfig(
        vocab_size=whole(config, "vocab_size"),
        hidden_size=whole(config, "hidden_size"),
        intermediate_size=whole(config, "intermediate_size"),
        num_hidden_layers=whole(config, "num_hidden_layers", most=LARGEST_DEPTH),
        num_attention_heads=whole(config, "num_attention_heads"),
        num_key_value_heads=whole(config, "num_key_value_heads"),
        head_dim=whole(config, "head_dim"),
        rms_norm_eps=number(config, "rms_norm_eps"),
        rope_theta=rope_theta(config) if theta is None else theta,
        tie_word_embeddings=flag(config, "tie_word_embeddings", default=False),
    )


def head_dim(config: Mapping[str, Any]) -> int:
    """``head_dim``, or what is left for each head of the model's width where it is not stated."""
    if config.get("head_dim") is not None:
        return whole(config, "head_dim")
    return share_of_a_head(config, "hidden_size", "num_attention_heads")


def share_of_a_head(config: Mapping[str, Any], width: str, heads: str) -> int:
    """The model's ``width`` divided by its ``heads``, both by their names."""
    share, rest = divmod(whole(config, width), whole(config, heads))
    if rest:
        raise SpecError(f"{width} {config[width]} is not a multiple of {heads} {config[heads]}")
    return share


def check_heads(heads: int, kv_heads: int, head_dim: int) -> None:
    """Heads share keys and values in equal groups, and RoPE turns pairs of dimensions."""
    if heads % kv_heads:
        raise SpecError(f"num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}")
    if head_dim % 2:
        raise SpecError(f"head_dim is {head_dim}; only even ones are supported")
    if heads * head_dim > LARGEST_WIDTH:
        raise SpecError(f"{heads} heads of head_dim {head_dim} are wider than {LARGEST_WIDTH}")
