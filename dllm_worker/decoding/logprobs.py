"""Log-probabilities of the tokens that a step sets, kept until they are committed."""

from __future__ import annotations

import torch
from torch import Tensor

from dllm_worker.decoding.changes import Change
from dllm_worker.decoding.turns import View
from dllm_worker.request import TokenLogprobs
from dllm_worker.sampling.likelihood import NO_TOKEN, Likelihoods
from dllm_worker.sampling.statistics import Statistics


def note(view: View, statistics: Statistics, change: Change | None) -> None:
    """Enter those of the positions that a step has just set; a later step that sets them again enters its own.

    A canvas of uniform diffusion sets its positions in the step with which it stops.
    """
    run, likelihoods = view.run, statistics.likelihoods
    if run.request.logprobs is None or likelihoods is None or not view.turn.fed.is_step:
        return
    if change is None:
        _enter(view, likelihoods, likelihoods.proposal, view.positions <= _last_taken(view))
    elif change.best is None:
        _enter(view, likelihoods, likelihoods.proposal, (change.accepted | change.edited)[view.cells])
    elif change.stop:
        _enter(view, likelihoods, likelihoods.best, torch.ones_like(view.positions, dtype=torch.bool))


def _last_taken(view: View) -> int:
    """The last position that a pass without a rule has set: of a draft that was checked, the token that ends it."""
    if view.turn.fed.outcome == "take":
        return int(view.positions[-1])
    last = view.run.canvas.start
    for position in [position for position in view.run.logprobs if position > last]:
        del view.run.logprobs[position]
    return last


def _enter(view: View, likelihoods: Likelihoods, values: Tensor, chosen: Tensor) -> None:
    rows, count = chosen.nonzero().flatten(), view.run.request.logprobs
    columns = (view.positions, values, likelihoods.tokens[:, :count], likelihoods.values[:, :count])
    for position, value, tokens, others in zip(*(column[rows].tolist() for column in columns), strict=True):
        top = tuple((token, other) for token, other in zip(tokens, others, strict=True) if token != NO_TOKEN)
        view.run.logprobs[position] = TokenLogprobs(value, top)
