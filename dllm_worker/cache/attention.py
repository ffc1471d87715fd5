"""Attention of packed rows: each segment looks at cached positions of its request and at itself.

A segment writes its keys and values before it looks, where it is stored; the following segments of its request see
them in the same forward pass. So block-causal attention needs no mask: inside a block everything is visible, later
blocks are not there. Neighbouring segments of equal shape look together, one in each row of a batch; a segment's own
shapes depend on its request only, never on its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from torch.nn import functional

from dllm_worker.cache.pages import PagePool


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows ``start:stop`` of the packed batch: neighbouring positions of one request, from ``position`` on.

    They see the cache slots ``before``, of all earlier positions, and ``after``, of later ones. ``store`` are the
    slots of the rows themselves when they are written, else ``None``. The rows of a ``causal`` segment do not see
    what follows them.
    """

    start: int
    stop: int
    before: Tensor
    after: Tensor | None = None
    store: Tensor | None = None
    causal: bool = False


class SegmentAttention:
    """The ``Attend`` of one forward pass over ``segments``, which lie end to end; rows behind them are padding."""

    def __init__(self, pool: PagePool, segments: tuple[Segment, ...]) -> None:
        self.pool, self.segments = pool, segments
        windows = {layer.window for layer in pool.shape}
        groups = [tuple(group) for _, group in groupby(segments, key=_shape)]
        self._groups = [_Group(group, windows) for group in groups]

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        keys, values, window = self.pool.keys[layer], self.pool.values[layer], self.pool.shape[layer].window
        parts: list[Tensor] = []
        for group in self._groups:
            rows = group.rows
            if group.store is not None:
                keys.index_copy_(0, group.store, key[rows])
                values.index_copy_(0, group.store, value[rows])
            looked = functional.scaled_dot_product_attention(
                query[rows].view(group.count, -1, *query.shape[1:]).transpose(1, 2),
                group.visible(keys, key[rows], window).transpose(1, 2),
                group.visible(values, value[rows], window).transpose(1, 2),
                attn_mask=group.masks[window],
                scale=scale,
                enable_gqa=query.shape[1] != key.shape[1],
            )
            parts.append(looked.transpose(1, 2).flatten(0, 1))
        if self.segments[-1].stop < len(query):
            parts.append(torch.zeros_like(query[self.segments[-1].stop :]))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class _Group:
    """Neighbouring segments of equal shape. None of them sees what another stores: theirs are different requests."""

    def __init__(self, segments: tuple[Segment, ...], windows: set[int | None]) -> None:
        first, device = segments[0], segments[0].before.device
        self.count, self.rows = len(segments), slice(first.start, segments[-1].stop)
        stored = [segment.store for segment in segments if segment.store is not None]
        self.store = torch.cat(stored) if stored else None
        self._seen = {window: torch.cat([_seen_slots(segment, window) for segment in segments]) for window in windows}
        seen = {window: len(slots) // self.count for window, slots in self._seen.items()}
        self.masks = {window: _mask(first, seen[window], window, device) for window in windows}

    def visible(self, plane: Tensor, own: Tensor, window: int | None) -> Tensor:
        """Of each segment what it sees in the cache and what its rows ``own``: ``[count, seen + rows, heads, dim]``."""
        seen, shape = self._seen[window], (self.count, -1, *own.shape[1:])
        if not len(seen):
            return own.view(shape)
        return torch.cat((plane.index_select(0, seen).view(shape), own.view(shape)), dim=1)


def _shape(segment: Segment) -> tuple[int, int, int, bool, bool]:
    after = 0 if segment.after is None else len(segment.after)
    return segment.stop - segment.start, len(segment.before), after, segment.causal, segment.store is not None


def _seen_slots(segment: Segment, window: int | None) -> Tensor:
    """Slots of the cached positions that some row of the segment sees."""
    before = segment.before if window is None else segment.before[max(0, len(segment.before) - window + 1) :]
    return before if segment.after is None else torch.cat((before, segment.after))


def _mask(segment: Segment, seen: int, window: int | None, device: torch.device) -> Tensor | None:
    """``[rows, seen + rows]``, true where a row may look; ``None`` where every row sees everything."""
    if not segment.causal:
        return None
    rows = torch.arange(segment.stop - segment.start, device=device)[:, None] + seen
    columns = torch.arange(seen + len(rows), device=device)
    visible = columns <= rows
    return visible if window is None else visible & (columns > rows - window)
