"""What one forward pass did to one canvas, for those who want to follow a decoding step by step."""

from __future__ import annotations

from dataclasses import dataclass

from dllm_worker.decoding.passes import Outcome
from dllm_worker.scheduling.planner import StepKind


@dataclass(frozen=True, slots=True)
class StepTrace:
    """``fed_start:fed_stop`` are the positions of the pass; every position is absolute.

    ``quota`` is what the schedule wants accepted. ``eligible``, ``proposed``, ``confidence``, ``margin`` and
    ``entropy`` (nats) belong together, in order of position, and ``best`` are the most probable tokens there.
    ``accepted`` and ``edited`` changed in this step. ``before`` and ``after`` are the tokens of the canvas, which
    starts at ``start``; a draft that is kept whole has one more after it.
    """

    request_id: str
    kind: StepKind
    outcome: Outcome
    fed_start: int
    fed_stop: int
    canvas: int
    step: int
    start: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    quota: int = 0
    eligible: tuple[int, ...] = ()
    proposed: tuple[int, ...] = ()
    best: tuple[int, ...] = ()
    confidence: tuple[float, ...] = ()
    margin: tuple[float, ...] = ()
    entropy: tuple[float, ...] = ()
    accepted: tuple[int, ...] = ()
    edited: tuple[int, ...] = ()
