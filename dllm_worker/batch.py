"""From planned rows to the packed tensors of one forward pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_worker.cache.attention import Segment
from dllm_worker.shapes import bucketed


@dataclass(frozen=True, slots=True)
class BlockRows:
    """One block of one request: its ``tokens [rows]`` from absolute position ``start`` on, and its cache slots.

    ``slots`` are the cache slots of the request, indexed by position; ``stored`` says whether the block is written.
    """

    tokens: Tensor
    start: int
    slots: Tensor
    stored: bool


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """``token_ids`` and ``positions`` int64 ``[rows]``, padded to a bucket; one segment per block, in order."""

    token_ids: Tensor
    positions: Tensor
    segments: tuple[Segment, ...]


def pack(blocks: list[BlockRows], device: torch.device) -> PackedBatch:
    """Lay the blocks end to end. Blocks of one request must come in order of position."""
    segments: list[Segment] = []
    row = 0
    for block in blocks:
        stop = row + block.tokens.shape[0]
        end = block.start + block.tokens.shape[0]
        store = block.slots[block.start : end] if block.stored else None
        segments.append(Segment(row, stop, block.slots[: block.start], store))
        row = stop
    padding = torch.zeros(bucketed(row) - row, dtype=torch.int64, device=device)
    ranges = [torch.arange(b.start, b.start + b.tokens.shape[0], device=device) for b in blocks]
    return PackedBatch(
        token_ids=torch.cat([*(block.tokens for block in blocks), padding]),
        positions=torch.cat([*ranges, padding]),
        segments=tuple(segments),
    )
