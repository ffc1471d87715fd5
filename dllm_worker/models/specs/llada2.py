"""``config.json`` of LLaDA2.0 and LLaDA2.1 (arXiv 2512.15745), mixtures of experts that come from Ling."""

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

MODEL_TYPE = "llada2_moe"
SUPPORTED: Supported = {
    "hidden_act": ("silu",),
    "use_qk_norm": (None, True),
    "use_bias": (None, False),
    "use_qkv_bias": (None, False),
    "use_sliding_window": (None, False),
    "norm_head": (None, False),
    "score_function": (None, "sigmoid"),
    "norm_topk_prob": (None, True),
    "moe_router_enable_expert_bias": (None, True),
    **UNQUANTIZED,
}


@dataclass(frozen=True, slots=True)
class LLaDA2Config:
    """The network's fields. The first ``first_k_dense_replace`` layers have a dense MLP in place of experts.

    RoPE turns the first ``rotary_dim`` dimensions of a head and leaves the others.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    moe_intermediate_size: int
    num_hidden_layers: int
    first_k_dense_replace: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rotary_dim: int
    num_experts: int
    num_experts_per_tok: int
    num_shared_experts: int
    n_group: int
    topk_group: int
    routed_scaling_factor: float
    rms_norm_eps: float
    rope_theta: float
    tie_word_embeddings: bool

    def __post_init__(self) -> None:
        groups = f"{self.num_experts} experts in n_group {self.n_group}"
        if self.n_group < 1 or self.num_experts % self.n_group or self.num_experts < 2 * self.n_group:
            raise SpecError(f"{groups} do not make equal groups of two or more")
        if self.num_experts_per_tok > self.topk_group * self.num_experts // self.n_group:
            raise SpecError(f"topk_group {self.topk_group} of {groups} has fewer than num_experts_per_tok")
        if self.num_shared_experts < 1:
            raise SpecError(f"num_shared_experts is {self.num_shared_experts}; at least 1 is supported")


def read_config(config: Mapping[str, Any]) -> LLaDA2Config:
    """Pick the network's fields; :class:`SpecError` names a switch that this network does not have."""
    refuse_others(config, SUPPORTED)
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    return LLaDA2Config(
        vocab_size=config["vocab_size"],
        hidden_size=config["hidden_size"],
        intermediate_size=config["intermediate_size"],
        moe_intermediate_size=config["moe_intermediate_size"],
        num_hidden_layers=config["num_hidden_layers"],
        first_k_dense_replace=config["first_k_dense_replace"],
        num_attention_heads=config["num_attention_heads"],
        num_key_value_heads=config["num_key_value_heads"],
        head_dim=head_dim,
        rotary_dim=int(head_dim * config["partial_rotary_factor"]),
        num_experts=config["num_experts"],
        num_experts_per_tok=config["num_experts_per_tok"],
        num_shared_experts=config["num_shared_experts"] or 0,
        n_group=config["n_group"],
        topk_group=config["topk_group"],
        routed_scaling_factor=config["routed_scaling_factor"],
        rms_norm_eps=config["rms_norm_eps"],
        rope_theta=rope_theta(config),
        tie_word_embeddings=config.get("tie_word_embeddings", False),
    )


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """The published code passes the block as an argument whose default is 32."""
    read_config(config)
    return block_causal_spec(config, config.get("block_size", DEFAULT_BLOCK))
