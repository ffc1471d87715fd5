"""How much of a canvas must be settled by which step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from dllm_worker.request import Schedule


def linear(opened: int, steps: int, max_steps: int) -> int:
    """Masks left after ``steps``: equal shares, the first ones one larger where they do not divide (LLaDA)."""
    share, larger = divmod(opened, max_steps)
    return opened - steps * share - min(steps, larger)


def cosine(opened: int, steps: int, max_steps: int) -> int:
    """Masks left after ``steps``: few are accepted at first, many at last (MaskGIT, arXiv 2202.04200)."""
    return math.floor(opened * math.cos(0.5 * math.pi * steps / max_steps) + 1e-9)


MASKS_LEFT: Mapping[Schedule, Callable[[int, int, int], int]] = {"linear": linear, "cosine": cosine}
"""``(opened, steps, max_steps) -> masks left`` of a canvas that keeps to its schedule."""


def quota(schedule: Schedule, step: int, max_steps: int, opened: int, masked: int) -> int:
    """Positions to accept in ``step`` (from 0), so that ``opened`` masks are gone after ``max_steps``.

    Counted from the ``masked`` positions which are left, so a canvas ahead of its schedule owes less; but a step
    always accepts one, and the last step everything.
    """
    if step + 1 >= max_steps:
        return masked
    return min(masked, max(1, masked - MASKS_LEFT[schedule](opened, step + 1, max_steps)))
