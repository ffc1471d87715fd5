"""Counted noise: Philox4x32-10 (Salmon et al., SC 2011) on torch integers, equal on every device and in any batch.

A draw is named by ``(seed, canvas, step, position, block)``, so a row gets the same noise alone, among others, and
after a restart. A block has four words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

_MASK32 = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORDS = 4
GROUP = 256
"""Vocabulary entries in a group. The lowest blocks choose within one, those from ``GROUP_BLOCK`` on among them."""
GROUP_BLOCK = GROUP // _WORDS
ORDER_BLOCK = _MASK32
"""The block that orders positions at random; no vocabulary has as many groups."""
TOKEN_BLOCK = _MASK32 - 1
"""The block that draws random tokens."""


@dataclass(frozen=True, slots=True)
class NoiseKeys:
    """Who asks for noise: int64 vectors ``[rows]``. ``seeds`` are used as unsigned 64-bit keys."""

    seeds: Tensor
    canvases: Tensor
    steps: Tensor
    positions: Tensor

    def select(self, rows: Tensor) -> NoiseKeys:
        return NoiseKeys(self.seeds[rows], self.canvases[rows], self.steps[rows], self.positions[rows])


class Draws(Protocol):
    """Where a step's random choices come from."""

    def choose(self, logits: Tensor, keys: NoiseKeys) -> Tensor:
        """One token per row, int64 ``[rows]``, from the distribution that fp32 ``logits [rows, vocab]`` stand for.

        What must not be chosen has a logit of minus infinity, or one so low that its probability is 0.
        """
        ...

    def order(self, keys: NoiseKeys) -> Tensor:
        """Uniform in (0, 1), fp32 ``[rows]``."""
        ...

    def tokens(self, keys: NoiseKeys, vocab_size: int) -> Tensor:
        """Uniform token ids, int64 ``[rows]``, independent of :meth:`order`."""
        ...


class CountedNoise:
    """The draws that serve requests: functions of the keys alone."""

    def choose(self, logits: Tensor, keys: NoiseKeys) -> Tensor:
        """The Gumbel-max trick twice, in the additive form that fp32 bears (arXiv 2409.02908).

        First among groups of the vocabulary by the logarithm of their mass, then within the group. That draws from
        the same distribution as noise for every entry would, with little of the noise.
        """
        groups = functional.pad(logits, (0, -logits.shape[1] % GROUP), value=-torch.inf).unfold(1, GROUP, GROUP)
        mass = (groups - logits.amax(-1)[:, None, None]).exp().sum(-1)
        group = (mass.log() + _gumbel(keys, GROUP_BLOCK, mass.shape[1])).argmax(-1)
        within = groups[torch.arange(len(group), device=group.device), group]
        token = (within + _gumbel(keys, 0, GROUP)).argmax(-1)
        return group * GROUP + token

    def order(self, keys: NoiseKeys) -> Tensor:
        """23 random bits and a half, so neither end of (0, 1) is reached."""
        return ((_words(keys, ORDER_BLOCK, 1)[:, 0] >> 9).to(torch.float32) + 0.5) * 2.0**-23

    def tokens(self, keys: NoiseKeys, vocab_size: int) -> Tensor:
        """A 32-bit word scaled to the vocabulary; no token is preferred by more than ``vocab_size * 2**-32``."""
        return _words(keys, TOKEN_BLOCK, 1)[:, 0] * vocab_size >> 32


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


def _words(keys: NoiseKeys, first: int, count: int) -> Tensor:
    """Unsigned 32-bit words ``[rows, count]`` from block ``first`` on."""
    blocks = torch.arange(first, first + -(-count // _WORDS), device=keys.seeds.device)
    counter = (keys.canvases[:, None], keys.steps[:, None], keys.positions[:, None], blocks)
    key = (keys.seeds[:, None] & _MASK32, keys.seeds[:, None] >> 32 & _MASK32)
    return torch.stack(philox(counter, key), dim=-1).flatten(1)[:, :count]


def _gumbel(keys: NoiseKeys, first: int, count: int) -> Tensor:
    """Standard Gumbel draws, fp32 ``[rows, count]``. The upper tail has all 32 bits, since it decides who wins."""
    upper = ((_words(keys, first, count).to(torch.float32) + 0.5) * 2.0**-32).clamp(max=1.0 - 2.0**-24)
    return -torch.log(-torch.log1p(-upper))
