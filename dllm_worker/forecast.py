"""How much a request still has to do, as far as it can be known before it is done. Pure; needs no torch.

Work is counted in position-forwards. How many steps a canvas takes is certain only where a schedule decides it;
elsewhere it follows from ``tokens_per_step``, the mean number of positions that a step settles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dllm_worker.canvas import (
    Canvas,
    attention_of,
    canvas_end,
    first_start,
    grid_length,
    reuse_window,
    streams,
    total_length,
)
from dllm_worker.capabilities import QUOTA_RULES
from dllm_worker.request import Request
from dllm_worker.spec import ModelSpec

AHEAD = 8
"""Steps for which work of the refresh phase is foretold."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a request is: where its open canvas starts, the masks left and the steps taken there.

    The first ``cached`` positions need not be encoded any more, and ``refreshed`` is as in :class:`Canvas`.
    """

    start: int
    masked: int
    step: int = 0
    cached: int = 0
    refreshed: int | None = None


def reached(request: Request, spec: ModelSpec, committed: int = 0, cached: int = 0) -> Reached:
    """Where ``request`` stands with ``committed`` tokens of its answer and ``cached`` positions in the cache."""
    first, length = first_start(request, spec), grid_length(request, spec)
    at = len(request.prompt) + committed
    start = first if request.template is not None else first + max(0, at - first) // length * length
    start = min(start, max(first, total_length(request) - 1))
    end = canvas_end(request, spec, start)
    return Reached(start, _holes(request, max(start, at), end), cached=min(cached, start))


def steps_left(request: Request, spec: ModelSpec, length: int, at: Reached, tokens_per_step: float) -> int:
    """Steps that the canvas of ``length`` at ``at`` is expected to take from there; at least one."""
    sampling = request.sampling
    bound = Canvas(0, 0, length, opened=min(length, at.masked + at.step)).max_steps(request, spec)
    if sampling.algorithm in QUOTA_RULES and sampling.quota is None:
        return max(1, bound - at.step)
    settled = sampling.quota if sampling.algorithm in QUOTA_RULES and sampling.quota else tokens_per_step
    if spec.corruption == "uniform":
        return max(1, min(bound, math.ceil(length / settled)) - at.step)
    return max(1, min(bound - at.step, math.ceil(at.masked / settled)))


def work_left(request: Request, spec: ModelSpec, at: Reached, tokens_per_step: float) -> int:
    """Position-forwards from ``at`` to the end, if no end of sequence comes before it."""
    end = canvas_end(request, spec, at.start)
    work = _canvas_work(request, spec, end - at.start, at, tokens_per_step) + _context(request, spec, at)
    work += sum(
        count * (_canvas_work(request, spec, size, Reached(start, size), tokens_per_step) + commit)
        for count, start, size, commit in _later_canvases(request, spec, end)
    )
    return work * streams(request)


def refresh_ahead(
    request: Request, spec: ModelSpec, at: Reached, tokens_per_step: float, steps: int = AHEAD
) -> tuple[int, ...]:
    """Positions of the refresh phase that fall due in each of the next ``steps`` steps, were all of them served."""
    due = [0] * steps
    total, number = total_length(request), 0
    due[0] += _context(request, spec, at)
    while number < steps:
        end = canvas_end(request, spec, at.start)
        left = steps_left(request, spec, end - at.start, at, tokens_per_step)
        if _is_bidirectional(request, spec):
            for ahead in _refreshes(request, at, min(left, steps - number)):
                due[number + ahead] += total
        number += left
        if end >= total:
            break
        if number < steps:
            due[number] += _commit(request, spec, end - at.start)
        at = Reached(end, canvas_end(request, spec, end) - end)
    return tuple(positions * streams(request) for positions in due)


def _later_canvases(request: Request, spec: ModelSpec, end: int) -> list[tuple[int, int, int, int]]:
    """The canvases from ``end`` on: how many are alike, their start and length, and the commit before each."""
    total, length = total_length(request), grid_length(request, spec)
    if _is_bidirectional(request, spec):
        return [(1, start, min(length, total - start), 0) for start in range(end, total, length)]
    whole, rest = divmod(total - end, length)
    last = [(1, total - rest, rest, length)] if rest else []
    return [(whole, end, length, length), *last]


def _holes(request: Request, start: int, end: int) -> int:
    """Positions of ``start:end`` that the request leaves open."""
    if request.template is None:
        return max(0, end - start)
    prompt = len(request.prompt)
    return sum(token is None for token in request.template[max(0, start - prompt) : max(0, end - prompt)])


def _is_bidirectional(request: Request, spec: ModelSpec) -> bool:
    return attention_of(request, spec) == "bidirectional"


def _context(request: Request, spec: ModelSpec, at: Reached) -> int:
    """Positions before the canvas that have to be encoded first; where all see each other there are none."""
    return 0 if _is_bidirectional(request, spec) else max(0, at.start - at.cached)


def _commit(request: Request, spec: ModelSpec, length: int) -> int:
    """Positions that a settled canvas of ``length`` is written by."""
    return 0 if _is_bidirectional(request, spec) else length


def _canvas_work(request: Request, spec: ModelSpec, length: int, at: Reached, tokens_per_step: float) -> int:
    steps = steps_left(request, spec, length, at, tokens_per_step)
    total = total_length(request)
    if not _is_bidirectional(request, spec):
        return steps * length
    refreshes = len(_refreshes(request, at, steps))
    start, stop = reuse_window(Canvas(0, at.start, at.start + length, opened=length), request.cache, total)
    return refreshes * total + (steps - refreshes) * (stop - start)


def _refreshes(request: Request, at: Reached, steps: int) -> range:
    """Which of the next ``steps`` steps of a canvas at ``at`` compute the whole of a sequence that sees both ways."""
    if request.cache.kind == "none":
        return range(steps)
    every = request.cache.refresh_every or steps + at.step + 1
    first = 0 if at.refreshed is None else max(0, every - (at.step - at.refreshed))
    return range(first, steps, every)
