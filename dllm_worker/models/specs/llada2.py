"""``config.json`` of LLaDA2.0 and LLaDA2.1 (arXiv 2512.15745), mixtures of experts that come from Ling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dllm_worker.models.specs.dense import check_heads, head_dim
from dllm_worker.models.specs.fields import (
    LARGEST_DEPTH,
    LARGEST_EXPERTS,
    UNQUANTIZED,
    Supported,
    flag,
    number,
    refuse_others,
    rope_theta,
    whole,
)
from dllm_worker.models.specs.masked import DEFAULT_BLOCK, SDAR_CONVENTIONS, block_causal_spec
from dllm_worker.models.specs.reader import SpecReader
from dllm_worker.request import SamplingParameters
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
        check_heads(self.num_attention_heads, self.num_key_value_heads, self.head_dim)
        if self.rotary_dim % 2 or not 2 <= self.rotary_dim <= self.head_dim:
            raise SpecError(f"partial_rotary_factor turns {self.rotary_dim} dimensions of head_dim {self.head_dim}")
        groups = f"{self.num_experts} experts in n_group {self.n_group}"
        if self.num_experts % self.n_group or self.num_experts < 2 * self.n_group:
            raise SpecError(f"{groups} do not make equal groups of two or more")
        if self.topk_group > self.n_group:
            raise SpecError(f"topk_group {self.topk_group} is more than n_group {self.n_group}")
        if self.num_experts_per_tok > self.topk_group * self.num_experts // self.n_group:
            raise SpecError(f"topk_group {self.topk_group} of {groups} has fewer than num_experts_per_tok")


def read_config(config: Mapping[str, Any]) -> LLaDA2Config:
    """Pick the network's fields; :class:`SpecError` names a switch that this network does not have."""
    refuse_others(config, SUPPORTED)
    width_of_a_head = head_dim(config)
    return LLaDA2Config(
        vocab_size=whole(config, "vocab_size"),
        hidden_size=whole(config, "hidden_size"),
        intermediate_size=whole(config, "intermediate_size"),
        moe_intermediate_size=whole(config, "moe_intermediate_size"),
        num_hidden_layers=whole(config, "num_hidden_layers", most=LARGEST_DEPTH),
        first_k_dense_replace=whole(config, "first_k_dense_replace", least=0, most=LARGEST_DEPTH),
        num_attention_heads=whole(config, "num_attention_heads"),
        num_key_value_heads=whole(config, "num_key_value_heads"),
        head_dim=width_of_a_head,
        rotary_dim=int(width_of_a_head * number(config, "partial_rotary_factor")),
        num_experts=whole(config, "num_experts", most=LARGEST_EXPERTS),
        num_experts_per_tok=whole(config, "num_experts_per_tok", most=LARGEST_EXPERTS),
        num_shared_experts=whole(config, "num_shared_experts", most=LARGEST_EXPERTS),
        n_group=whole(config, "n_group", most=LARGEST_EXPERTS),
        topk_group=whole(config, "topk_group", most=LARGEST_EXPERTS),
        routed_scaling_factor=number(config, "routed_scaling_factor"),
        rms_norm_eps=number(config, "rms_norm_eps"),
        rope_theta=rope_theta(config),
        tie_word_embeddings=flag(config, "tie_word_embeddings", default=False),
    )


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """The published code passes the block as an argument whose default is 32."""
    read_config(config)
    return replace(block_causal_spec(config, whole(config, "block_size", DEFAULT_BLOCK)), conventions=SDAR_CONVENTIONS)


READER = SpecReader(read_spec, SamplingParameters(algorithm="quota_threshold", threshold=0.95))
