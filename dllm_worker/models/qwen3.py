"""Qwen3's network (arXiv 2505.09388), which SDAR and A2D-Qwen3 run with their own attention mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dllm_worker.models import dense
from dllm_worker.models.rotary import Rotary
from dllm_worker.models.specs.qwen3 import read_config
from dllm_worker.models.transformer import Family, Layout, Transformer

LAYOUT: Layout = {
    **dense.layout("model", "lm_head"),
    "layers.{layer}.self_attn.q_norm.weight": "model.layers.{layer}.self_attn.q_norm.weight",
    "layers.{layer}.self_attn.k_norm.weight": "model.layers.{layer}.self_attn.k_norm.weight",
}


def build(config: Mapping[str, Any]) -> Transformer:
    """The network of ``config.json``, without weights."""
    sizes = read_config(config)
    return dense.build(sizes, Rotary(sizes.head_dim, sizes.rope_theta), qk_norm=True)


FAMILY = Family(build, LAYOUT)
