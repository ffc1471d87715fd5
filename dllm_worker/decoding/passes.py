"""What one request feeds to one forward pass: a run of neighbouring positions, cut into blocks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from dllm_worker.canvas import Grid
from dllm_worker.scheduling.planner import StepKind

Outcome = Literal["store", "condition", "rule", "take", "verify"]
"""What becomes of the predictions: there are none, they condition the next step, the sampler's rule decides, all are
taken, they check a draft."""

NOWHERE = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True, slots=True)
class Span:
    """Positions ``start:stop`` that see everything before them and each other, a ``causal`` span only backwards.

    They also see cached positions behind them up to ``sees``. A ``stored`` span is written to the cache; a
    ``denoised`` one belongs to a canvas.
    """

    start: int
    stop: int
    stored: bool
    causal: bool = False
    sees: int = 0
    denoised: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """``spans`` follow each other without a gap. ``eligible`` are the positions whose prediction is wanted.

    The row ``shift`` before a position predicts it. ``tokens`` are fed in place of the request's own where an earlier
    pass is repeated.
    """

    kind: StepKind
    spans: tuple[Span, ...]
    outcome: Outcome
    eligible: Tensor = NOWHERE
    shift: int = 0
    tokens: Tensor | None = None

    @property
    def is_step(self) -> bool:
        """Whether the pass brings the answer forward, and not only the cache or the conditioning."""
        return self.outcome not in ("store", "condition")

    @property
    def start(self) -> int:
        return self.spans[0].start

    @property
    def stop(self) -> int:
        return self.spans[-1].stop

    @property
    def positions(self) -> int:
        return self.stop - self.start

    @property
    def stored_stop(self) -> int:
        """Where the leading spans that are encoded as context end."""
        return max((span.stop for span in self.spans if not span.denoised), default=self.start)

    def sources(self) -> Tensor:
        """For each eligible position the row of this pass that predicts it; -1 where it lies before the pass."""
        return self.eligible - self.shift - self.start


def context_spans(grid: Grid, start: int, stop: int, limit: int, *, causal: bool) -> tuple[Span, ...]:
    """The blocks of ``start:stop`` as far as ``limit`` positions go, but at least one."""
    reach = min(stop, max(start + limit, grid.end_of(start, stop)))
    edges = grid.edges(start, reach)
    if reach < stop and grid.start_of(reach) != reach:
        edges.pop()
    return tuple(Span(at, end, stored=True, causal=causal) for at, end in pairwise(edges))
