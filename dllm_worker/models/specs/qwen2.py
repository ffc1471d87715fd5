"""``config.json`` of the families with Qwen2's network: Dream (arXiv 2508.15487), Fast-dLLM v2 (arXiv 2509.26328)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import gcd
from typing import Any

from dllm_worker.models.specs.dense import DenseConfig, head_dim, read_dense
from dllm_worker.models.specs.fields import LARGEST_CONTEXT, UNQUANTIZED, Supported, refuse_others, whole
from dllm_worker.models.specs.masked import DEFAULT_BLOCK, bidirectional_spec, block_causal_spec, mask_token_id
from dllm_worker.models.specs.qwen3 import refuse_windows
from dllm_worker.models.specs.reader import SpecReader
from dllm_worker.request import SamplingParameters
from dllm_worker.spec import Conventions, ModelSpec, SpecError

DREAM, FAST_DLLM_V2 = "Dream", "Fast_dLLM_Qwen"
SUPPORTED: Supported = {"hidden_act": ("silu",), "use_sliding_window": (None, False), **UNQUANTIZED}
FAST_DLLM_MASK, FAST_DLLM_SUB_BLOCK = 151665, 8
"""What Fast-dLLM v2 has in its code and not in ``config.json``."""


def read_config(config: Mapping[str, Any]) -> DenseConfig:
    """Pick the network's fields; :class:`SpecError` names a switch that this network does not have."""
    refuse_others(config, SUPPORTED)
    refuse_windows(config)
    return read_dense({**config, "head_dim": head_dim(config)})


def read_dream_spec(config: Mapping[str, Any]) -> ModelSpec:
    """Dream kept the alignment of the autoregressive model that it comes from."""
    longest = whole(config, "max_position_embeddings", most=LARGEST_CONTEXT)
    spec = bidirectional_spec(config, read_config(config).vocab_size, longest)
    return replace(spec, logit_shift=1, conventions=Conventions(confidence="proposal", nucleus_first=True))


def read_fast_dllm_spec(config: Mapping[str, Any]) -> ModelSpec:
    """A finished block is encoded, which predicts the first token of the next; blocks are denoised in parts."""
    read_config(config)
    block = whole(config, "bd_size", DEFAULT_BLOCK)
    part = whole(config, "small_block_size", gcd(FAST_DLLM_SUB_BLOCK, block))
    if block % part:
        raise SpecError(f"bd_size {block} is not a multiple of small_block_size {part}")
    masked = {**config, "mask_token_id": mask_token_id(config, FAST_DLLM_MASK)}
    return replace(
        block_causal_spec(masked, block),
        logit_shift=1,
        next_token=True,
        sub_canvas_length=part,
        conventions=Conventions(confidence="proposal", strict_threshold=True, greedy_seed=True),
    )


DREAM_READER = SpecReader(
    read_dream_spec, SamplingParameters(algorithm="low_entropy", schedule="dream", temperature=0.2, top_p=0.95)
)
FAST_DLLM_READER = SpecReader(read_fast_dllm_spec, SamplingParameters(threshold=0.9, top_p=0.95))
