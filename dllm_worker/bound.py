"""The most that a request can cost. Pure; needs no torch."""

from __future__ import annotations

from dllm_worker.canvas import attention_of, canvas_end, first_start, grid_length, streams, total_length
from dllm_worker.forecast import reached, work_left
from dllm_worker.request import Request
from dllm_worker.spec import ModelSpec

SLOWEST = 1e-9
"""Positions that a step settles at the least; one a step is the bound that follows."""


def most_work(request: Request, spec: ModelSpec) -> int:
    """Position-forwards that ``request`` takes at most on one replica, if nothing of its prompt is cached.

    It is exact where a schedule decides everything. Rules that settle at least one position a step are charged one a
    step, edits all the steps that they may take behind the last mask, and a draft that is checked one token a check.
    """
    algorithm = request.sampling.algorithm
    if algorithm in ("linear_speculation", "pipelined"):
        return _context(request, spec) + _joint_canvases(request, spec) * streams(request)
    usual = work_left(request, spec, reached(request, spec), SLOWEST)
    return usual + _further_steps(request, spec) * streams(request)


def _context(request: Request, spec: ModelSpec) -> int:
    return total_length(request) * streams(request)


def _joint_canvases(request: Request, spec: ModelSpec) -> int:
    """Canvases that overlap. A pipeline settles a position of the first one each step, while it feeds all of them; of
    a draft, which takes a step for each of its positions, the check may keep one.
    """
    total, first = total_length(request), first_start(request, spec)
    if request.sampling.algorithm == "pipelined":
        return (total - first) * (total + grid_length(request, spec))
    draft = grid_length(request, spec) + 1
    return (total - first) * draft * (draft + 2)


def _further_steps(request: Request, spec: ModelSpec) -> int:
    """What the schedule does not count: the pass that may give the first token of a canvas, the steps of a capped
    canvas beyond ``max_steps``, and those that only edit.
    """
    sampling, total = request.sampling, total_length(request)
    edits = sampling.max_post_steps + 1 if sampling.algorithm == "joint_threshold" else 0
    start, work = first_start(request, spec), 0
    while start < total:
        end = canvas_end(request, spec, start)
        steps = edits + spec.next_token + (end - start if sampling.algorithm == "capped_threshold" else 0)
        work += steps * (total if attention_of(request, spec) == "bidirectional" else end - start)
        start = end
    return work
