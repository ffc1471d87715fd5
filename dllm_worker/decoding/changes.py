"""What a denoising step does to each canvas: the sampling rules on the statistics of its positions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from dllm_worker.decoding.guessing import agreeing, tested
from dllm_worker.decoding.pace import step_probability, step_progress, step_quota
from dllm_worker.decoding.turns import View
from dllm_worker.decoding.update import progress
from dllm_worker.sampling.renoise import renoise, stable_and_confident
from dllm_worker.sampling.samplers import SAMPLERS, accept, edit
from dllm_worker.sampling.scores import Bounds, Scores
from dllm_worker.sampling.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Change:
    """What a step does to a canvas: bool and int64 ``[length]``.

    ``refuted`` positions held a guess that the model does not share; they are masked.
    Of uniform diffusion ``best`` are the most probable tokens, which the canvas becomes when it is to ``stop``.
    """

    accepted: Tensor
    edited: Tensor
    proposal: Tensor
    refuted: Tensor
    best: Tensor | None = None
    stop: bool = False


def follow_rules(views: list[View], statistics: Statistics, eos: Tensor) -> list[Change]:
    """What the rule of each canvas accepts and edits; ``statistics`` are those of all positions, end to end.

    Of a request that concludes all masks are accepted, as in an early exit.
    """
    lengths = [view.canvas.length for view in views]
    offsets = (
        torch.tensor([0, *lengths[:-1]]).cumsum(0).repeat_interleave(torch.tensor([len(v.positions) for v in views]))
    )
    spread = statistics.spread(torch.cat([view.cells for view in views]) + offsets, sum(lengths))
    scores = _scores(views, spread, eos)
    bounds = _bounds(views)
    algorithms = [view.run.request.sampling.algorithm for view in views]
    concluding = torch.tensor([view.run.concluding for view in views])
    accepted = accept(algorithms, scores, bounds) | (scores.masked & concluding[:, None])
    edited = edit(algorithms, scores, bounds)
    proposals = torch.split(spread.proposal, lengths)
    return [_change(view, accepted[i], edited[i], scores.changed[i], proposals[i]) for i, view in enumerate(views)]


def _change(view: View, accepted: Tensor, edited: Tensor, changed: Tensor, proposal: Tensor) -> Change:
    """What becomes of a canvas whose row of ``[canvases, longest]`` these are; ``proposal`` is its own length.

    A guess that is refuted in the step that owes everything is replaced by the proposal.
    """
    length, run = view.canvas.length, view.run
    confirmed, refuted = tested(view, changed[:length])
    edited = edited[:length]
    if run.concluding or view.canvas.step + 1 >= view.canvas.max_steps(run.request, run.spec):
        edited = edited | refuted
    return Change(accepted[:length] | confirmed, edited, proposal, refuted & ~edited)


def _scores(views: list[View], statistics: Statistics, eos: Tensor) -> Scores:
    """Lay the flat positions out as ``[canvases, longest]``; padding counts as not masked."""
    lengths = [view.canvas.length for view in views]

    def padded(rows: Tensor) -> Tensor:
        return pad_sequence(list(torch.split(rows, lengths)), batch_first=True)

    return Scores(
        masked=pad_sequence([_masked(view) for view in views], batch_first=True),
        confidence=padded(statistics.confidence),
        margin=padded(statistics.margin),
        gap=padded(statistics.gap),
        entropy=padded(statistics.entropy),
        order=pad_sequence([_order(view) for view in views], batch_first=True),
        ends=padded(torch.isin(statistics.proposal, eos)),
        changed=pad_sequence(
            [
                _changed(view, proposal)
                for view, proposal in zip(views, torch.split(statistics.proposal, lengths), strict=True)
            ],
            batch_first=True,
        ),
        agreed=pad_sequence(
            [
                agreeing(view, proposal)
                for view, proposal in zip(views, torch.split(statistics.proposal, lengths), strict=True)
            ],
            batch_first=True,
        ),
    )


def _masked(view: View) -> Tensor:
    masked = torch.zeros(view.canvas.length, dtype=torch.bool)
    masked[view.cells] = view.run.sequence.masked[view.positions]
    return masked


def _order(view: View) -> Tensor:
    """Uniform noise for the rules that go by chance."""
    order = torch.zeros(view.canvas.length)
    if SAMPLERS[view.run.request.sampling.algorithm].ordered:
        order[view.cells] = view.run.draws.order(view.run.noise_keys(view.canvas, view.positions, view.canvas.step))
    return order


def _changed(view: View, proposal: Tensor) -> Tensor:
    """Settled positions whose prediction was asked for and differs from their token."""
    changed = torch.zeros(view.canvas.length, dtype=torch.bool)
    settled = ~view.run.sequence.masked[view.positions]
    changed[view.cells] = settled & (view.run.sequence.tokens[view.positions] != proposal[view.cells])
    return changed


def _bounds(views: list[View]) -> Bounds:
    sampling = [view.run.request.sampling for view in views]

    def exits(values: list[float | None], never: float) -> Tensor:
        return torch.tensor([never if value is None else value for value in values])

    return Bounds(
        quota=torch.tensor([step_quota(view.run, view.canvas) for view in views]),
        threshold=torch.tensor([s.threshold for s in sampling]),
        strict=torch.tensor([view.run.spec.conventions.strict_threshold for view in views]),
        editing_threshold=torch.tensor([s.editing_threshold for s in sampling]),
        factor=torch.tensor([s.factor for s in sampling]),
        entropy_bound=torch.tensor([s.entropy_bound for s in sampling]),
        entropy_exit=exits([s.entropy_exit for s in sampling], -math.inf),
        gap_exit=exits([s.gap_exit for s in sampling], math.inf),
        progress=torch.tensor([step_progress(view.run, view.canvas) for view in views]),
        leftmost_eos=torch.tensor([s.leftmost_eos for s in sampling]),
        probability=torch.tensor([step_probability(view.run, view.canvas) for view in views]),
        forced=torch.tensor([_is_forced(view) for view in views]),
    )


def _is_forced(view: View) -> bool:
    """Whether this canvas must come forward in this step: all but those opened far ahead (D2F)."""
    canvases = view.run.canvases
    place = canvases.index(view.canvas)
    return place == 0 or progress(view.run, canvases[place - 1]) >= view.run.request.sampling.force_share


def follow_renoise(view: View, statistics: Statistics) -> Change:
    """The next canvas of uniform diffusion; one that is stable and confident, out of steps, or concludes, stops.

    ``statistics`` are those of the view's positions under the tempered distribution.
    """
    run, canvas, sampling = view.run, view.canvas, view.run.request.sampling
    random = run.draws.tokens(run.noise_keys(canvas, view.positions, canvas.step + 1), run.spec.vocab_size)
    bound = torch.tensor([sampling.entropy_bound])
    tokens, accepted = renoise(statistics.proposal[None], statistics.entropy[None], random[None], bound)
    best = _with(view, statistics.best)
    same = run.best is not None and torch.equal(run.best, best)
    canvas.unchanged = canvas.unchanged + 1 if same else 0
    settled = stable_and_confident(
        torch.tensor([canvas.unchanged]),
        statistics.entropy.mean()[None],
        torch.tensor([sampling.stability]),
        torch.tensor([-math.inf if sampling.entropy_exit is None else sampling.entropy_exit]),
    )
    out_of_steps = canvas.step + 1 >= canvas.max_steps(run.request, run.spec)
    cells = torch.zeros(canvas.length, dtype=torch.bool)
    cells[view.cells] = accepted[0]
    return Change(
        cells,
        torch.zeros_like(cells),
        _with(view, tokens[0]),
        torch.zeros_like(cells),
        best,
        stop=bool(settled) or out_of_steps or run.concluding,
    )


def _with(view: View, tokens: Tensor) -> Tensor:
    """The canvas with ``tokens`` at the view's positions."""
    canvas = view.run.sequence.tokens[view.canvas.start : view.canvas.end].clone()
    canvas[view.cells] = tokens
    return canvas
