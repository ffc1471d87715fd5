"""Counted noise: Philox4x32-10 (Salmon et al., SC 2011) on torch integers, equal on every device and in any batch.

A draw is named by ``(seed, canvas, step, position, lane)``, so a row gets the same noise alone, among others, and
after a restart. Lanes below ``ORDER_LANE`` belong to vocabulary entries, four to a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_MASK32 = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
ORDER_LANE = _MASK32
"""The block that orders positions at random; no vocabulary reaches it."""


@dataclass(frozen=True, slots=True)
class NoiseKeys:
    """Who asks for noise: int64 vectors ``[rows]``. ``seeds`` are used as unsigned 64-bit keys."""

    seeds: Tensor
    canvases: Tensor
    steps: Tensor
    positions: Tensor

    def select(self, rows: Tensor) -> NoiseKeys:
        return NoiseKeys(self.seeds[rows], self.canvases[rows], self.steps[rows], self.positions[rows])


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """One Philox4x32-10 block. Every tensor is int64 holding unsigned 32-bit values; shapes broadcast."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        left, right = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (right >> 32 & _MASK32) ^ c1 ^ k0,
            right & _MASK32,
            (left >> 32 & _MASK32) ^ c3 ^ k1,
            left & _MASK32,
        )
        k0, k1 = k0 + _WEYL[0] & _MASK32, k1 + _WEYL[1] & _MASK32
    return c0, c1, c2, c3


def _uniform(keys: NoiseKeys, blocks: Tensor) -> Tensor:
    """Uniform in (0, 1), fp32 ``[rows, blocks * 4]``: 24 random bits and a half, so neither end is reached."""
    column = (keys.canvases[:, None], keys.steps[:, None], keys.positions[:, None], blocks[None, :])
    key = (keys.seeds[:, None] & _MASK32, keys.seeds[:, None] >> 32 & _MASK32)
    words = torch.stack(philox(column, key), dim=-1)
    return ((words >> 8).to(torch.float32) + 0.5) * 2.0**-24


def vocabulary_uniform(keys: NoiseKeys, vocab_size: int) -> Tensor:
    """``[rows, vocab_size]``: one draw per vocabulary entry."""
    blocks = torch.arange(-(-vocab_size // 4), device=keys.seeds.device)
    return _uniform(keys, blocks).flatten(1)[:, :vocab_size]


def order_uniform(keys: NoiseKeys) -> Tensor:
    """``[rows]``: one draw per position, for random unmasking orders."""
    return _uniform(keys, torch.tensor([ORDER_LANE], device=keys.seeds.device)).flatten(1)[:, 0]
