"""``config.json`` of LLaDA (arXiv 2502.09992), whose names come from OLMo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dllm_worker.models.specs.fields import UNQUANTIZED, Supported, eos_token_ids, refuse_others, rope_theta
from dllm_worker.spec import ModelSpec

MODEL_TYPE = "llada"
SUPPORTED: Supported = {
    "block_type": ("llama",),
    "block_group_size": (None, 1),
    "activation_type": ("silu",),
    "layer_norm_type": ("rms",),
    "layer_norm_with_affine": (None, True),
    "rope": (True,),
    "alibi": (None, False),
    "attention_layer_norm": (None, False),
    "include_bias": (None, False),
    "include_qkv_bias": (None, False),
    "bias_for_layer_norm": (None, False),
    "multi_query_attention": (None, False),
    "clip_qkv": (None,),
    "input_emb_norm": (None, False),
    "scale_logits": (None, False),
    **UNQUANTIZED,
}
"""OLMo's code can do more; where its default is something else, the field has to be there."""


@dataclass(frozen=True, slots=True)
class LLaDAConfig:
    """The network's fields. ``embedding_size`` rows are stored, the first ``vocab_size`` of them are tokens."""

    vocab_size: int
    embedding_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    rms_norm_eps: float
    rope_theta: float
    tied: bool

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.heads


def read_config(config: Mapping[str, Any]) -> LLaDAConfig:
    """Pick the network's fields; :class:`SpecError` names a switch that this network does not have."""
    refuse_others(config, SUPPORTED)
    return LLaDAConfig(
        vocab_size=config["vocab_size"],
        embedding_size=config.get("embedding_size") or config["vocab_size"],
        hidden_size=config["d_model"],
        intermediate_size=config.get("mlp_hidden_size") or config["mlp_ratio"] * config["d_model"],
        layers=config["n_layers"],
        heads=config["n_heads"],
        kv_heads=config.get("n_kv_heads") or config["n_heads"],
        rms_norm_eps=config["rms_norm_eps"],
        rope_theta=rope_theta(config),
        tied=config["weight_tying"],
    )


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """Prompt and answer are one canvas: every position sees every other, so nothing can be encoded ahead."""
    network, longest = read_config(config), config["max_sequence_length"]
    return ModelSpec(
        family=MODEL_TYPE,
        vocab_size=network.embedding_size,
        corruption="absorbing",
        mask_token_id=config["mask_token_id"],
        eos_token_ids=eos_token_ids(config),
        suppressed_token_ids=(config["mask_token_id"], *range(network.vocab_size, network.embedding_size)),
        canvas_length=longest,
        max_canvas_length=longest,
        canvas_anchor="zero",
        context_attention="bidirectional",
        max_position=longest,
        exact_cache=False,
    )
