"""How much of a canvas must be settled by which step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from dllm_worker.request import Schedule

MaskedShare = Callable[[float], float]

MASKED_SHARE: Mapping[Schedule, MaskedShare] = {
    "linear": lambda time: 1.0 - time,
    "cosine": lambda time: math.cos(0.5 * math.pi * time),
}
"""Share of the canvas still masked at time 0..1 (MaskGIT, arXiv 2202.04200)."""


def quota(schedule: Schedule, step: int, max_steps: int, opened: int, masked: int) -> int:
    """Positions to accept in ``step`` (from 0), so that ``opened`` masks are gone after ``max_steps``.

    Counted from the ``masked`` positions which are left, so a canvas ahead of its schedule owes less; but a step
    always accepts one, and the last step everything.
    """
    if step + 1 >= max_steps:
        return masked
    remaining = math.floor(opened * MASKED_SHARE[schedule]((step + 1) / max_steps) + 1e-9)
    return min(masked, max(1, masked - remaining))
