"""``config.json`` of LLaDA (arXiv 2502.09992), whose names come from OLMo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dllm_worker.models.specs.dense import DenseConfig, share_of_a_head
from dllm_worker.models.specs.fields import (
    LARGEST_CONTEXT,
    LARGEST_DEPTH,
    LARGEST_WIDTH,
    UNQUANTIZED,
    Supported,
    flag,
    number,
    refuse_others,
    rope_theta,
    whole,
)
from dllm_worker.models.specs.masked import bidirectional_spec
from dllm_worker.models.specs.reader import SpecReader
from dllm_worker.request import SamplingParameters
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


def read_config(config: Mapping[str, Any]) -> DenseConfig:
    """Pick the network's fields; :class:`SpecError` names a switch that this network does not have.

    ``embedding_size`` rows are stored, the first ``vocab_size`` of them are tokens.
    """
    refuse_others(config, SUPPORTED)
    tokens, width, heads = whole(config, "vocab_size"), whole(config, "d_model"), whole(config, "n_heads")
    return DenseConfig(
        vocab_size=whole(config, "embedding_size", tokens, least=tokens),
        hidden_size=width,
        intermediate_size=_intermediate_size(config, width),
        num_hidden_layers=whole(config, "n_layers", most=LARGEST_DEPTH),
        num_attention_heads=heads,
        num_key_value_heads=whole(config, "n_kv_heads", heads),
        head_dim=share_of_a_head(config, "d_model", "n_heads"),
        rms_norm_eps=number(config, "rms_norm_eps"),
        rope_theta=rope_theta(config),
        tie_word_embeddings=flag(config, "weight_tying"),
    )


def _intermediate_size(config: Mapping[str, Any], width: int) -> int:
    if config.get("mlp_hidden_size") is not None:
        return whole(config, "mlp_hidden_size")
    return whole(config, "mlp_ratio", most=LARGEST_WIDTH // width) * width


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """The rows that only fill up the embedding are never proposed, as little as the mask is."""
    rows, tokens = read_config(config).vocab_size, whole(config, "vocab_size")
    spec = bidirectional_spec(config, rows, whole(config, "max_sequence_length", most=LARGEST_CONTEXT))
    return replace(spec, suppressed_token_ids=(*spec.suppressed_token_ids, *range(tokens, rows)))


READER = SpecReader(read_spec, SamplingParameters(algorithm="low_confidence"))
