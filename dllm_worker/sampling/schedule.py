"""How much of a canvas must be settled by which step, and how hot the step is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from dllm_worker.request import Schedule

END_TIME = 1e-3
"""The time at which masked diffusion ends where nothing else is said; it begins at 1."""


def quota(schedule: Schedule, step: int, max_steps: int, opened: int, masked: int, end_time: float = END_TIME) -> int:
    """Positions to accept in ``step`` (from 0), so that ``opened`` masks are gone after ``max_steps``.

    Counted from the ``masked`` positions which are left, so a canvas ahead of its schedule owes less. A step owes at
    least one and the last step everything. Only ``dream``, whose times run from 1 to ``end_time``, may owe nothing:
    there the published loop runs a forward pass that changes nothing.
    """
    if step + 1 >= max_steps:
        return masked
    return min(masked, QUOTAS[schedule](step, max_steps, opened, masked, end_time))


def share(schedule: Schedule, step: int, max_steps: int, length: int) -> int:
    """Positions to accept in ``step``, counted over all ``length`` positions of a canvas that was opened empty.

    It is the same however many positions are settled, so it may exceed the masks that are left; at least one.
    """
    shares = _shares(schedule, max_steps, length)
    return max(1, shares[step]) if step < len(shares) else 1


def linear(step: int, max_steps: int, opened: int, masked: int, end_time: float) -> int:
    """Equal shares, the first ones one larger where they do not divide (LLaDA, arXiv 2502.09992)."""
    base, larger = divmod(opened, max_steps)
    return max(1, masked - opened + (step + 1) * base + min(step + 1, larger))


def cosine(step: int, max_steps: int, opened: int, masked: int, end_time: float) -> int:
    """Few are accepted at first, many at last (MaskGIT, arXiv 2202.04200)."""
    left = math.floor(opened * math.cos(0.5 * math.pi * (step + 1) / max_steps) + 1e-9)
    return max(1, masked - left)


def dream(step: int, max_steps: int, opened: int, masked: int, end_time: float) -> int:
    """The share that leaves its mask between two times, of the masks that are left, rounded down (Dream 7B)."""
    return int(masked * _unmasked(max_steps, end_time)[step])


def even(step: int, max_steps: int, opened: int, masked: int, end_time: float) -> int:
    """What is left, divided among the steps that are left and rounded up (vLLM's masked diffusion sampler)."""
    return -(-masked // (max_steps - step))


def rounded(step: int, max_steps: int, opened: int, masked: int, end_time: float) -> int:
    """What is left, divided among the steps that are left and rounded, halves to even (dLLM's BD3-LM sampler).

    The published sampler drops the steps that would accept nothing; to accept one there comes to the same.
    """
    return max(1, round(masked / (max_steps - step)))


QUOTAS: Mapping[Schedule, Callable[[int, int, int, int, float], int]] = {
    "linear": linear,
    "cosine": cosine,
    "dream": dream,
    "even": even,
    "rounded": rounded,
}
"""``(step, max_steps, opened, masked, end_time) -> quota`` of every step but the last, not limited to the masks."""


def ancestral_probability(step: int, max_steps: int, end_time: float = END_TIME) -> float:
    """The probability with which a mask is lifted in ``step``: 1 - s / t between its times, in the last step 1."""
    return float(_unmasked(max_steps, end_time)[step]) if step + 1 < max_steps else 1.0


def temperature_at(t_min: float, t_max: float, step: int, max_steps: int) -> float:
    """From ``t_max`` in the first step towards ``t_min``, which a step after the last would have (DiffusionGemma)."""
    return t_min + (t_max - t_min) * (max_steps - step) / max_steps


@lru_cache(maxsize=256)
def _unmasked(max_steps: int, end_time: float) -> Tensor:
    """1 - s / t of every step, in the reference's fp32, whose rounding decides what is truncated."""
    times = torch.linspace(1.0, end_time, max_steps + 1)
    return 1 - times[1:] / times[:-1]


@lru_cache(maxsize=256)
def _shares(schedule: Schedule, max_steps: int, length: int) -> tuple[int, ...]:
    """What each step of a canvas of ``length`` masks accepts when all keep to the schedule."""
    shares: list[int] = []
    masked = length
    while masked:
        shares.append(quota(schedule, len(shares), max_steps, length, masked))
        masked -= shares[-1]
    return tuple(shares)
