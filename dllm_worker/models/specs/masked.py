"""The facts that models of absorbing corruption share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dllm_worker.models.specs.fields import LARGEST_CONTEXT, token_ids, whole
from dllm_worker.spec import Conventions, ModelSpec

DEFAULT_BLOCK = 32
"""Positions of a block where a block-causal checkpoint does not say (arXiv 2503.09573, arXiv 2512.15745)."""

SDAR_CONVENTIONS = Conventions(confidence="proposal", quota="canvas", strict_threshold=True)
"""Those of the decoders that come from SDAR's (arXiv 2510.06303), LLaDA2's among them."""


def mask_token_id(config: Mapping[str, Any], default: int | None = None) -> int:
    """The id of the mask."""
    return whole(config, "mask_token_id", default, least=0)


def block_causal_spec(config: Mapping[str, Any], block_size: int) -> ModelSpec:
    """A model whose blocks see whole earlier blocks, counted from position 0."""
    longest, mask = whole(config, "max_position_embeddings", most=LARGEST_CONTEXT), mask_token_id(config)
    return ModelSpec(
        family=config["model_type"],
        vocab_size=whole(config, "vocab_size"),
        corruption="absorbing",
        mask_token_id=mask,
        eos_token_ids=token_ids(config, "eos_token_id"),
        suppressed_token_ids=(mask,),
        canvas_length=block_size,
        max_canvas_length=longest,
        canvas_anchor="zero",
        context_attention="block_causal",
        max_position=longest,
    )


def bidirectional_spec(config: Mapping[str, Any], vocab_size: int, longest: int) -> ModelSpec:
    """A model in which every position sees every other, so that nothing can be encoded ahead."""
    mask = mask_token_id(config)
    return ModelSpec(
        family=config["model_type"],
        vocab_size=vocab_size,
        corruption="absorbing",
        mask_token_id=mask,
        eos_token_ids=token_ids(config, "eos_token_id"),
        suppressed_token_ids=(mask,),
        canvas_length=longest,
        max_canvas_length=longest,
        canvas_anchor="prompt",
        context_attention="bidirectional",
        max_position=longest,
    )
