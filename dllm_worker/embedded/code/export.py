"""Writes the averaged weights of a training run, with everything needed to serve them, into a checkpoint folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dllm_worker.embedded.code.tokenizer import BOS_ID, EOS_ID, MASK_ID, SUPPRESSED_IDS
from dllm_worker.embedded.code.train import CONFIG
from dllm_worker.embedded.training import STATE_FILE
from dllm_worker.models.checkpoint import EMBEDDED_DIRECTORY
from dllm_worker.models.embedded import MODEL_TYPE, EmbeddedDenoiser
from dllm_worker.models.loading import save_checkpoint

CHECKPOINT = EMBEDDED_DIRECTORY / "tiny-code"
CANVAS: dict[str, Any] = {
    "length": 32,
    "max_length": 512,
    "anchor": "zero",
    "context_attention": "block_causal",
    "attentions": ["bidirectional", "causal"],
}
SAMPLING: dict[str, Any] = {
    "algorithm": "confidence_threshold",
    "threshold": 0.7,
    "schedule": "linear",
    "leftmost_eos": True,
}
"""What a request gets that states nothing: as good as a higher threshold in fewer steps, see the model card."""


def configuration() -> dict[str, Any]:
    """The content of ``config.json``."""
    return {
        "model_type": MODEL_TYPE,
        "architectures": [EmbeddedDenoiser.__name__],
        **asdict(CONFIG),
        "torch_dtype": "bfloat16",
        "mask_token_id": MASK_ID,
        "eos_token_id": EOS_ID,
        "bos_token_id": BOS_ID,
        "pad_token_id": EOS_ID,
        "suppress_tokens": list(SUPPRESSED_IDS),
        "canvas": CANVAS,
    }


def export(run: Path, folder: Path = CHECKPOINT) -> int:
    """Export the last saved state of the training in ``run``; returns its step. The tokenizer is there already."""
    state = torch.load(run / STATE_FILE, weights_only=True)
    model = EmbeddedDenoiser(CONFIG)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(state["average"][name])
    save_checkpoint(model, configuration(), folder)
    generation = {"bos_token_id": BOS_ID, "eos_token_id": EOS_ID, "pad_token_id": EOS_ID, **SAMPLING}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    return int(state["step"])
