"""Attention of packed rows: each segment looks at its request's cached positions and at itself.

A block of committed tokens writes its keys and values before it looks, a canvas never writes. Both look at whole
blocks, so block-causal attention needs no mask: inside a block everything is visible, later blocks are not there.
A segment's shapes depend on its own request only, never on its neighbours in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dllm_worker.cache.pages import PagePool


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows ``start:stop`` of the packed batch, one block of one request.

    ``context`` are the cache slots of all earlier positions and ``store`` the slots of the rows themselves when the
    block is committed, else ``None``.
    """

    start: int
    stop: int
    context: Tensor
    store: Tensor | None = None


class SegmentAttention:
    """The ``Attend`` of one forward pass over ``segments``; rows outside them are padding and stay zero."""

    def __init__(self, pool: PagePool, segments: tuple[Segment, ...]) -> None:
        self.pool, self.segments = pool, segments

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        keys, values = self.pool.keys[layer], self.pool.values[layer]
        result = torch.zeros_like(query)
        for segment in self.segments:
            rows = slice(segment.start, segment.stop)
            if segment.store is not None:
                keys.index_copy_(0, segment.store, key[rows])
                values.index_copy_(0, segment.store, value[rows])
            seen = (
                torch.cat((keys.index_select(0, segment.context), key[rows])),
                torch.cat((values.index_select(0, segment.context), value[rows])),
            )
            result[rows] = _attention(query[rows], *seen)
        return result


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Full attention of ``query [rows, heads, dim]`` over ``key``, ``value`` ``[seen, kv_heads, dim]``."""
    grouped = query.shape[1] != key.shape[1]
    attended = functional.scaled_dot_product_attention(
        query.transpose(0, 1)[None], key.transpose(0, 1)[None], value.transpose(0, 1)[None], enable_gqa=grouped
    )
    return attended[0].transpose(0, 1)
