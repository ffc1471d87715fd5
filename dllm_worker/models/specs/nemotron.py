"""``config.json`` of Nemotron-Labs-Diffusion (arXiv 2607.05722)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dllm_worker.models.specs.dense import DenseConfig, read_dense
from dllm_worker.models.specs.fields import UNQUANTIZED, Supported, number, refuse_others, section, whole
from dllm_worker.models.specs.masked import DEFAULT_BLOCK, block_causal_spec
from dllm_worker.models.specs.reader import SpecReader
from dllm_worker.models.specs.yarn import Yarn, read_yarn_parameters
from dllm_worker.request import SamplingParameters
from dllm_worker.spec import ModelSpec

MODEL_TYPE = "nemotron_labs_diffusion"
SUPPORTED: Supported = {
    "hidden_act": ("silu",),
    "attention_bias": (None, False),
    "mlp_bias": (None, False),
    "sliding_window": (None,),
    "dlm_paradigm": (None, "bidirectional"),
    **UNQUANTIZED,
}


def read_config(config: Mapping[str, Any]) -> DenseConfig:
    """Pick the network's fields; :class:`SpecError` names a switch that this network does not have."""
    refuse_others(config, SUPPORTED)
    return read_dense(config, theta=number(section(config, "rope_parameters"), "rope_theta", above=1.0))


def read_yarn(config: Mapping[str, Any]) -> Yarn:
    """How far RoPE is stretched."""
    parameters = section(config, "rope_parameters")
    refuse_others(parameters, {"rope_type": ("yarn",)})
    return read_yarn_parameters(parameters)


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """The context is causal, or prompt and blocks see themselves whole; in both ways each block predicts the next."""
    read_config(config)
    read_yarn(config)
    return replace(
        block_causal_spec(config, whole(config, "block_size", DEFAULT_BLOCK)),
        canvas_anchor="prompt",
        context_attention="causal",
        other_attentions=("block_causal",),
        prompt_block=True,
        next_token=True,
    )


READER = SpecReader(read_spec, SamplingParameters(threshold=0.9))
