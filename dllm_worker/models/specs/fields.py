"""What the readers of ``config.json`` share: refusals by name, and the few fields that families spell alike.

A reader takes the whole configuration and returns plain numbers. A missing field is a ``KeyError`` naming it, a
field whose value the networks here do not compute a :class:`SpecError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dllm_worker.spec import ModelSpec, SpecError

Supported = Mapping[str, tuple[object, ...]]
"""Field by field, the values that are computed; ``None`` among them means that the field may be absent."""

UNQUANTIZED: Supported = {"quantization_config": (None,)}
DEFAULT_BLOCK = 32
"""Positions of a block where a block-causal checkpoint does not say (arXiv 2503.09573, arXiv 2512.15745)."""


def refuse_others(config: Mapping[str, Any], supported: Supported) -> None:
    """Raise :class:`SpecError` for the first field that asks for something else."""
    for name, values in supported.items():
        value = config.get(name)
        if value not in values:
            known = " or ".join(repr(value) for value in values if value is not None) or "nothing"
            raise SpecError(f"{name} is {value!r}; only {known} is supported")


def rope_theta(config: Mapping[str, Any]) -> float:
    """The base of RoPE's angles: ``rope_theta``, or ``rope_parameters`` as transformers 5 writes it."""
    refuse_others(config, {"rope_scaling": (None,)})
    parameters = config.get("rope_parameters")
    if parameters is None:
        return float(config["rope_theta"])
    refuse_others(parameters, {"rope_type": (None, "default"), "partial_rotary_factor": (None, 1.0)})
    return float(parameters["rope_theta"])


def eos_token_ids(config: Mapping[str, Any]) -> tuple[int, ...]:
    """``eos_token_id``, which is one id or a list of them."""
    ids = config["eos_token_id"]
    return tuple(ids) if isinstance(ids, list) else (ids,)


def block_causal_spec(config: Mapping[str, Any], block_size: int) -> ModelSpec:
    """The facts of a masked model whose blocks see whole earlier blocks, counted from position 0."""
    return ModelSpec(
        family=config["model_type"],
        vocab_size=config["vocab_size"],
        corruption="absorbing",
        mask_token_id=config["mask_token_id"],
        eos_token_ids=eos_token_ids(config),
        suppressed_token_ids=(config["mask_token_id"],),
        canvas_length=block_size,
        max_canvas_length=config["max_position_embeddings"],
        canvas_anchor="zero",
        context_attention="block_causal",
        max_position=config["max_position_embeddings"],
    )
