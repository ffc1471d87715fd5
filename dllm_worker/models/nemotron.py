"""The network of Nemotron-Labs-Diffusion (arXiv 2607.05722): Ministral 3 with one head for both of its modes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dllm_worker.models import dense
from dllm_worker.models.rotary import YarnRotary
from dllm_worker.models.specs.nemotron import read_config, read_yarn
from dllm_worker.models.transformer import Family, Transformer


def build(config: Mapping[str, Any]) -> Transformer:
    """The network of ``config.json``, without weights."""
    sizes = read_config(config)
    return dense.build(sizes, YarnRotary(sizes.head_dim, sizes.rope_theta, read_yarn(config)))


FAMILY = Family(build, dense.layout("encoder", "diffusion_head"))
