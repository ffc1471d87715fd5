"""Reference data beside the repository: tiny random checkpoints and what the published code computes with them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dllm_worker.models.loading import LoadedModel, load_model

GOLDEN = Path(__file__).parents[4] / "shared" / "golden"


def folder(family: str) -> Path:
    """The family's folder; the test is skipped where it is not."""
    if not (GOLDEN / family).is_dir():
        pytest.skip(f"there is no shared/golden/{family} beside the repository")
    return GOLDEN / family


@cache
def model(family: str) -> LoadedModel:
    """The family's checkpoint in fp32."""
    return load_model(folder(family))


def forward(family: str) -> dict[str, Tensor]:
    """Inputs and results of single forward passes."""
    return load_file(folder(family) / "forward.safetensors")


def logits(loaded: LoadedModel, hidden: Tensor) -> Tensor:
    """``[rows, vocab]`` of ``hidden [rows, width]``."""
    return torch.nn.functional.linear(hidden, loaded.denoiser.output_embedding)
