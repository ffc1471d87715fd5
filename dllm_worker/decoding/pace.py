"""How far a canvas has to come in its next step."""

from __future__ import annotations

from dllm_worker.canvas import Canvas
from dllm_worker.capabilities import QUOTA_RULES
from dllm_worker.decoding.discipline import canvas_positions, takes_first
from dllm_worker.running import Running
from dllm_worker.sampling.schedule import ancestral_probability, quota, share

MOST_IDLE_STEPS = 256


def step_quota(run: Running, canvas: Canvas) -> int:
    """Positions that the schedule wants settled by this step; 0 where the published loop would do nothing.

    The last step within the bound owes all that is left.
    """
    sampling, steps = run.request.sampling, canvas.max_steps(run.request, run.spec)
    masked = run.sequence.masks(canvas.start, canvas.end)
    if sampling.quota is not None:
        return masked if canvas.step + 1 >= steps else min(masked, sampling.quota)
    if run.spec.conventions.quota == "canvas" and sampling.schedule == "linear":
        return min(masked, share(sampling.schedule, canvas.step, steps, canvas.length))
    return quota(sampling.schedule, canvas.step, steps, canvas.opened, masked, run.spec.conventions.end_time)


def step_probability(run: Running, canvas: Canvas) -> float:
    """The chance of each masked position under ancestral sampling."""
    steps = canvas.max_steps(run.request, run.spec)
    return ancestral_probability(canvas.step, steps, run.spec.conventions.end_time)


def step_progress(run: Running, canvas: Canvas) -> float:
    """The share of the canvas's steps that lie behind it."""
    return canvas.step / max(1, canvas.max_steps(run.request, run.spec))


def skip_idle_steps(run: Running) -> None:
    """Pass over the steps in which nothing can be accepted: their forward pass would change nothing.

    After ``MOST_IDLE_STEPS`` in a row one is run all the same, so that nobody else waits for the search.
    """
    for canvas in run.canvases:
        for _ in range(MOST_IDLE_STEPS):
            if not _is_idle(run, canvas):
                break
            canvas.step += 1


def _is_idle(run: Running, canvas: Canvas) -> bool:
    sampling = run.request.sampling
    if run.sequence.is_settled(canvas.start, canvas.end) or takes_first(run):
        return False
    if sampling.algorithm == "ancestral":
        positions = canvas_positions(run, canvas)
        order = run.draws.order(run.noise_keys(canvas, positions, canvas.step))
        return not bool((order < step_probability(run, canvas)).any())
    return sampling.algorithm in QUOTA_RULES and step_quota(run, canvas) == 0
