"""Qwen2's network (arXiv 2407.10671), which Dream and Fast-dLLM v2 run with their own attention mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dllm_worker.models import dense
from dllm_worker.models.rotary import Rotary
from dllm_worker.models.specs.qwen2 import read_config
from dllm_worker.models.transformer import Family, Layout, Transformer

LAYOUT: Layout = {
    **dense.layout("model", "lm_head"),
    "layers.{layer}.self_attn.qkv_proj.bias": (
        "model.layers.{layer}.self_attn.q_proj.bias",
        "model.layers.{layer}.self_attn.k_proj.bias",
        "model.layers.{layer}.self_attn.v_proj.bias",
    ),
}


def build(config: Mapping[str, Any]) -> Transformer:
    """The network of ``config.json``, without weights."""
    sizes = read_config(config)
    return dense.build(sizes, Rotary(sizes.head_dim, sizes.rope_theta), bias=True)


FAMILY = Family(build, LAYOUT)
