"""``config.json`` of the families with Qwen3's network: SDAR (arXiv 2510.06303) and A2D-Qwen3 as BD3-LM.

BD3-LM (arXiv 2503.09573) is block-causal; nothing in an A2D configuration tells it from a bidirectional sibling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dllm_worker.models.specs.dense import DenseConfig, read_dense
from dllm_worker.models.specs.fields import UNQUANTIZED, Supported, flag, refuse_others, whole
from dllm_worker.models.specs.masked import DEFAULT_BLOCK, SDAR_CONVENTIONS, block_causal_spec
from dllm_worker.models.specs.reader import SpecReader
from dllm_worker.request import SamplingParameters
from dllm_worker.spec import ModelSpec, SpecError

SDAR, A2D_QWEN3 = "sdar", "a2d-qwen3"
SUPPORTED: Supported = {
    "hidden_act": ("silu",),
    "attention_bias": (None, False),
    "use_sliding_window": (None, False),
    **UNQUANTIZED,
}


def read_config(config: Mapping[str, Any]) -> DenseConfig:
    """Pick the network's fields; :class:`SpecError` names a switch that this network does not have."""
    refuse_others(config, SUPPORTED)
    refuse_windows(config)
    return read_dense(config)


def refuse_windows(config: Mapping[str, Any]) -> None:
    """Every layer sees the whole context, if ``layer_types`` says anything about it."""
    kinds = config.get("layer_types")
    if kinds is not None and (not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds)):
        raise SpecError(f"layer_types is {kinds!r}; only 'full_attention' is supported")


def read_sdar_spec(config: Mapping[str, Any]) -> ModelSpec:
    """SDAR states its block, and there are checkpoints of several."""
    read_config(config)
    return replace(block_causal_spec(config, whole(config, "block_size")), conventions=SDAR_CONVENTIONS)


def read_a2d_spec(config: Mapping[str, Any]) -> ModelSpec:
    """A2D leaves the block to the sampler, and counts blocks backwards from the end of the prompt as well."""
    read_config(config)
    return replace(
        block_causal_spec(config, whole(config, "block_size", DEFAULT_BLOCK)),
        canvas_anchor="prompt",
        logit_shift=1 if flag(config, "right_shift_logits", default=False) else 0,
    )


SDAR_READER = SpecReader(
    read_sdar_spec, SamplingParameters(algorithm="quota_threshold", threshold=0.85, temperature=1.0)
)
A2D_READER = SpecReader(read_a2d_spec, SamplingParameters(algorithm="low_confidence", schedule="rounded"))
