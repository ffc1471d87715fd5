"""What a network's layers keep of each position."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LayerShape:
    """Keys and values of one layer: ``2 x kv_heads x head_dim`` numbers a position.

    With ``window`` an encoded position sees the ``window`` last positions, its own among them, and a canvas the
    ``window - 1`` before it.
    """

    kv_heads: int
    head_dim: int
    window: int | None = None


CacheShape = tuple[LayerShape, ...]
"""Layer by layer."""
