"""Reference data: tiny random checkpoints and what the published code computes with them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from dllm_worker.batch import BlockRows, pack
from dllm_worker.cache.attention import SegmentAttention
from dllm_worker.cache.pages import PagePool
from dllm_worker.golden.folders import load_checkpoint, read_folder
from dllm_worker.models.loading import LoadedModel

GOLDEN = Path(__file__).parents[2] / "golden"


def folder(family: str) -> Path:
    """Where the family's checkpoint and its records are."""
    return GOLDEN / family


@cache
def model(family: str) -> LoadedModel:
    """The family's checkpoint in fp32."""
    return load_checkpoint(read_folder(folder(family)))


def forward(family: str) -> dict[str, Tensor]:
    """Inputs and results of single forward passes."""
    return load_file(folder(family) / "forward.safetensors")


def logits(loaded: LoadedModel, hidden: Tensor) -> Tensor:
    """``[rows, vocab]`` of ``hidden [rows, width]``."""
    return loaded.denoiser.head.logits(hidden)


class Session:
    """Requests in pages of one pool, fed as the engine feeds them."""

    def __init__(self, loaded: LoadedModel, positions: int, requests: int = 1) -> None:
        self.model = loaded
        self.pool = PagePool(loaded.denoiser.cache_shape, requests * positions, 1, loaded.dtype, loaded.device)
        taken = [self.pool.allocate(str(number), positions) for number in range(requests)]
        self.slots = [allocation.slots for allocation in taken if allocation is not None]

    def rows(self, tokens: Tensor, start: int = 0, request: int = 0, **facts: Any) -> BlockRows:
        """``tokens`` of a request from position ``start`` on; they are stored unless ``facts`` say otherwise."""
        return BlockRows(tokens, start, self.slots[request], **{"stored": True, **facts})

    @torch.inference_mode()
    def hidden(self, *blocks: BlockRows) -> Tensor:
        """``[rows, width]`` of one forward pass over ``blocks``."""
        spec, width = self.model.spec, self.model.denoiser.input_embedding.shape[1]
        batch = pack(list(blocks), self.model.device, width if spec.self_conditioning else None)
        result: Tensor = self.model.denoiser(batch.rows, SegmentAttention(self.pool, batch.segments))
        return result[: sum(len(block.tokens) for block in blocks)]

    def cached(self, layer: int, positions: slice, request: int = 0) -> tuple[Tensor, Tensor]:
        """Keys and values of ``positions``, ``[kv_heads, positions, head_dim]``."""
        slots = self.slots[request][positions]
        return self.pool.keys[layer][slots].transpose(0, 1), self.pool.values[layer][slots].transpose(0, 1)

    def logits(self, *blocks: BlockRows) -> Tensor:
        """``[rows, vocab]`` of one forward pass over ``blocks``."""
        return logits(self.model, self.hidden(*blocks))
