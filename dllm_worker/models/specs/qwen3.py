"""``config.json`` of the families with Qwen3's network: SDAR (arXiv 2510.06303) and A2D-Qwen3 as BD3-LM.

BD3-LM (arXiv 2503.09573) is block-causal; nothing in an A2D configuration tells it from a bidirectional sibling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dllm_worker.models.specs.fields import (
    DEFAULT_BLOCK,
    UNQUANTIZED,
    Supported,
    block_causal_spec,
    refuse_others,
    rope_theta,
)
from dllm_worker.spec import ModelSpec, SpecError

SDAR, A2D_QWEN3 = "sdar", "a2d-qwen3"
SUPPORTED: Supported = {
    "hidden_act": ("silu",),
    "attention_bias": (None, False),
    "use_sliding_window": (None, False),
    **UNQUANTIZED,
}


@dataclass(frozen=True, slots=True)
class Qwen3Config:
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


def read_config(config: Mapping[str, Any]) -> Qwen3Config:
    """Pick the network's fields; :class:`SpecError` names a switch that this network does not have."""
    refuse_others(config, SUPPORTED)
    if set(config.get("layer_types") or ()) - {"full_attention"}:
        raise SpecError(f"layer_types is {config['layer_types']}; only 'full_attention' is supported")
    return Qwen3Config(
        vocab_size=config["vocab_size"],
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        num_hidden_layers=config["num_hidden_layers"],
        num_attention_heads=config["num_attention_heads"],
        num_key_value_heads=config["num_key_value_heads"],
        head_dim=config["head_dim"],
        rms_norm_eps=config["rms_norm_eps"],
        rope_theta=rope_theta(config),
        tie_word_embeddings=config.get("tie_word_embeddings", False),
    )


def read_sdar_spec(config: Mapping[str, Any]) -> ModelSpec:
    """SDAR states its block, and there are checkpoints of several."""
    read_config(config)
    return block_causal_spec(config, config["block_size"])


def read_a2d_spec(config: Mapping[str, Any]) -> ModelSpec:
    """A2D leaves the block to the sampler."""
    read_config(config)
    return block_causal_spec(config, config.get("block_size", DEFAULT_BLOCK))
