"""From planned blocks to the packed tensors of one forward pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_worker.cache.attention import Segment
from dllm_worker.models.rows import Conditioning, Rows
from dllm_worker.shapes import bucketed


@dataclass(frozen=True, slots=True)
class BlockRows:
    """Neighbouring positions of one request: ``tokens [rows]`` from absolute position ``start`` on.

    ``slots`` are the cache slots of the request, indexed by position. The rows see all earlier positions, each other
    (a ``causal`` block: only backwards) and cached positions behind the block up to ``sees``. ``stored`` says whether
    the block is written to the cache, ``denoised`` whether it belongs to a canvas, whose self-conditioning may be
    ``soft [rows, hidden]``.
    """

    tokens: Tensor
    start: int
    slots: Tensor
    stored: bool
    causal: bool = False
    sees: int = 0
    denoised: bool = False
    soft: Tensor | None = None

    @property
    def stop(self) -> int:
        return self.start + self.tokens.shape[0]


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """``rows``, padded to a bucket, and one segment per block, in order."""

    rows: Rows
    segments: tuple[Segment, ...]


def pack(blocks: list[BlockRows], device: torch.device, conditioning: int | None = None) -> PackedBatch:
    """Lay the blocks end to end. Blocks of one request must come in order of position.

    ``conditioning`` is the hidden width of a self-conditioned model.
    """
    segments: list[Segment] = []
    row = 0
    for block in blocks:
        rows = block.tokens.shape[0]
        segments.append(_segment(block, row))
        row += rows
    padding = torch.zeros(bucketed(row) - row, dtype=torch.int64, device=device)
    ranges = [torch.arange(block.start, block.stop, device=device) for block in blocks]
    rows_in = Rows(
        torch.cat([*(block.tokens for block in blocks), padding]),
        torch.cat([*ranges, padding]),
        None if conditioning is None else _conditioning(blocks, bucketed(row), conditioning, device),
    )
    return PackedBatch(rows_in, tuple(segments))


def _segment(block: BlockRows, row: int) -> Segment:
    behind = block.slots[block.stop : block.sees] if block.sees > block.stop else None
    return Segment(
        row,
        row + block.tokens.shape[0],
        before=block.slots[: block.start],
        after=behind,
        store=block.slots[block.start : block.stop] if block.stored else None,
        causal=block.causal,
    )


def _conditioning(blocks: list[BlockRows], rows: int, width: int, device: torch.device) -> Conditioning:
    denoised = torch.zeros(rows, dtype=torch.bool, device=device)
    soft = torch.zeros(rows, width, device=device)
    row = 0
    for block in blocks:
        stop = row + block.tokens.shape[0]
        denoised[row:stop] = block.denoised
        if block.soft is not None:
            soft[row:stop] = block.soft
        row = stop
    return Conditioning(denoised, soft)
