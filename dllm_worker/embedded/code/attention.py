"""Dense attention for training: who may look at whom, as boolean masks, and the product that obeys them."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from dllm_worker.embedded.code.corruption import Batch, BatchPlan
from dllm_worker.models.blocks import Attend
from dllm_worker.models.rows import Rows
from dllm_worker.spec import ContextAttention


def sequence_mask(length: int, attention: ContextAttention, block_length: int) -> Tensor:
    """``[length, length]``, true where the row may look at the column, for a sequence without a live canvas."""
    index = torch.arange(length)
    if attention == "bidirectional":
        return torch.ones(length, length, dtype=torch.bool)
    if attention == "causal":
        return index[:, None] >= index
    return index[:, None] // block_length >= index // block_length


def two_stream_mask(length: int, attention: ContextAttention, block_length: int) -> Tensor:
    """``[2 * length, 2 * length]`` for the layout ``[noised; clean]`` of block diffusion (arXiv 2503.09573).

    A noised row sees its own noised block and the clean blocks before it: each block is a canvas behind clean
    context. The clean rows are that context and see each other by ``attention``.
    """
    block = torch.arange(length) // block_length
    noised_to_noised = block[:, None] == block
    noised_to_clean = block[:, None] > block
    clean_to_noised = torch.zeros(length, length, dtype=torch.bool)
    clean_to_clean = sequence_mask(length, attention, block_length)
    top = torch.cat((noised_to_noised, noised_to_clean), dim=1)
    return torch.cat((top, torch.cat((clean_to_noised, clean_to_clean), dim=1)))


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where ``mask`` is true, the lowest finite number elsewhere."""
    return torch.zeros(mask.shape, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)


def dense_attend(sequences: int, bias: Tensor | None) -> Attend:
    """Attention over ``sequences`` equally long sequences that lie end to end; ``bias`` is added to the scores."""

    def attend(layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        rows, heads, dim = query.shape
        query, key, value = (x.view(sequences, -1, x.shape[1], dim).transpose(1, 2) for x in (query, key, value))
        scores = (query * (dim**-0.5 if scale is None else scale)) @ key.transpose(2, 3)
        if bias is not None:
            scores = scores + bias
        attended: Tensor = scores.softmax(-1) @ value
        return attended.transpose(1, 2).reshape(rows, heads, dim)

    return attend


@cache
def attention_bias(plan: BatchPlan, dtype: torch.dtype) -> Tensor | None:
    """What is added to the scores of a batch of this plan; ``None`` where everything sees everything."""
    if plan.attention == "bidirectional":
        return None
    return additive(two_stream_mask(plan.length, plan.attention, plan.block_length), dtype)


def batch_rows(batch: Batch) -> tuple[Rows, Tensor]:
    """All rows, and the indices of those that the loss counts."""
    tokens, targets = torch.from_numpy(batch.noised), torch.from_numpy(batch.targets)
    positions = torch.arange(batch.plan.length).expand_as(tokens)
    if batch.plan.attention != "bidirectional":
        tokens = torch.cat((tokens, torch.from_numpy(batch.clean)), dim=1)
        positions = torch.cat((positions, positions), dim=1)
        targets = torch.cat((targets, torch.zeros_like(targets)), dim=1)
    return Rows(tokens.flatten(), positions.flatten()), targets.flatten().nonzero()[:, 0]
