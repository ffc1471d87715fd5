"""The parameters of YaRN (arXiv 2309.00071), by which RoPE is stretched over a longer context."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dllm_worker.models.specs.fields import LARGEST_CONTEXT, Supported, number, refuse_others, whole
from dllm_worker.spec import SpecError

SUPPORTED: Supported = {"partial_rotary_factor": (None, 1.0), "truncate": (None, True)}


@dataclass(frozen=True, slots=True)
class Yarn:
    """``factor`` times the ``original_positions`` is the stretched context.

    A pair of dimensions that makes ``beta_fast`` turns in the original context keeps its speed, one that makes
    ``beta_slow`` is slowed by ``factor``. Cosine and sine are multiplied by ``attention_scaling``. Queries are
    multiplied by ``1 + query_beta * ln(1 + n)``, ``n`` being the original contexts that lie before them (Llama 4).
    """

    factor: float
    original_positions: int
    beta_fast: float
    beta_slow: float
    attention_scaling: float
    query_beta: float


def read_yarn_parameters(parameters: Mapping[str, Any]) -> Yarn:
    """Read ``rope_parameters`` of the type ``yarn``, with the defaults of transformers."""
    refuse_others(parameters, SUPPORTED)
    factor = number(parameters, "factor")
    fast, slow = number(parameters, "beta_fast", 32.0), number(parameters, "beta_slow", 1.0)
    if factor < 1:
        raise SpecError(f"factor is {factor}; it has to be 1 or more")
    if fast < slow:
        raise SpecError(f"beta_fast {fast} is below beta_slow {slow}")
    return Yarn(
        factor=factor,
        original_positions=whole(parameters, "original_max_position_embeddings", most=LARGEST_CONTEXT),
        beta_fast=fast,
        beta_slow=slow,
        attention_scaling=number(parameters, "attention_factor", _attention_scaling(parameters, factor)),
        query_beta=_query_beta(parameters),
    )


def _attention_scaling(parameters: Mapping[str, Any], factor: float) -> float:
    if parameters.get("mscale") and parameters.get("mscale_all_dim"):
        some, all_dimensions = number(parameters, "mscale"), number(parameters, "mscale_all_dim")
        return _magnitude(factor, some) / _magnitude(factor, all_dimensions)
    return _magnitude(factor, 1.0)


def _magnitude(factor: float, scale: float) -> float:
    """How much longer vectors have to be in a context that is ``factor`` times longer (equation 22)."""
    return 1.0 if factor <= 1 else 0.1 * scale * math.log(factor) + 1.0


def _query_beta(parameters: Mapping[str, Any]) -> float:
    return number(parameters, "llama_4_scaling_beta") if parameters.get("llama_4_scaling_beta") else 0.0
