"""From the hidden rows of a pass to the next state of the requests that were in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from dllm_worker.decoding.changes import Change, follow_renoise, follow_rules
from dllm_worker.decoding.guessing import draft
from dllm_worker.decoding.logprobs import note
from dllm_worker.decoding.pace import skip_idle_steps, step_quota
from dllm_worker.decoding.telling import tell
from dllm_worker.decoding.trace import StepTrace
from dllm_worker.decoding.turns import Turn, View, noise_keys, proposal_parameters
from dllm_worker.decoding.update import denoise, open_next, remember, renoise, take, verify
from dllm_worker.models.loading import LoadedModel
from dllm_worker.noise import Draws
from dllm_worker.request import Event, Finish
from dllm_worker.sampling.statistics import Statistics, conditioned_statistics, head_statistics

Observe = Callable[[StepTrace], None]


def decode(hidden: Tensor, turns: list[Turn], model: LoadedModel, draws: Draws, observe: Observe | None) -> list[Event]:
    """Advance every request of a pass; ``hidden [rows, width]`` are its normed rows."""
    for turn in turns:
        carry = turn.carry(hidden)
        if carry is not None:
            turn.run.carry = carry
        remember(turn.run, turn.fed)
        turn.run.account(turn.fed)
    views = [view for turn in turns if turn.fed.outcome != "store" for view in turn.views() if len(view.positions)]
    traces = [_before(view) for view in views] if observe else []
    statistics = _statistics(hidden, views, model, draws) if views else []
    changes = _apply(views, statistics, torch.tensor(model.spec.eos_token_ids))
    if observe:
        for trace, view, own, change in zip(traces, views, statistics, changes, strict=True):
            observe(_after(trace, view, own, change))
        for turn in turns:
            if turn.fed.outcome == "store":
                observe(_before(View(turn, turn.run.canvas, turn.fed.eligible)))
    return [event for turn in turns if turn.fed.is_step for event in _conclude(turn)]


def _conclude(turn: Turn) -> list[Event]:
    events = tell(turn.run)
    if not (events and isinstance(events[-1], Finish)):
        open_next(turn.run)
        draft(turn.run)
        skip_idle_steps(turn.run)
    return events


def _statistics(hidden: Tensor, views: list[View], model: LoadedModel, draws: Draws) -> list[Statistics]:
    """View by view, on the CPU. A self-conditioned canvas gets its soft embedding on the way."""
    asked = list(dict.fromkeys(id(view.turn) for view in views))
    turns = {id(view.turn): view.turn for view in views}
    rows = torch.cat([turns[name].predicting(hidden) for name in asked])
    lengths = [len(view.positions) for view in views]
    asks = (proposal_parameters(views, rows.device), noise_keys(views, rows.device), draws)
    if not model.spec.self_conditioning:
        return head_statistics(rows, model.denoiser.head, model.suppressed, *asks).cpu().split(lengths)
    table = model.denoiser.input_embedding
    statistics, soft = conditioned_statistics(rows, model.denoiser.head, model.suppressed, *asks, table)
    for view, own in zip(views, torch.split(soft, lengths), strict=True):
        _condition(view, own)
    return statistics.cpu().split(lengths)


def _condition(view: View, soft: Tensor) -> None:
    """Keep the soft embedding of the canvas's open positions; pinned ones condition on nothing."""
    kept = soft.new_zeros(view.canvas.length, soft.shape[1])
    kept[view.cells.to(soft.device)] = soft
    view.run.soft, view.run.unconditioned = kept, False


def _apply(views: list[View], statistics: list[Statistics], eos: Tensor) -> list[Change | None]:
    """Enter the predictions into the requests; returns what the rules decided, view by view."""
    changes: list[Change | None] = [None] * len(views)
    ruled = [i for i, view in enumerate(views) if view.turn.fed.outcome == "rule"]
    masked = [i for i in ruled if views[i].run.spec.corruption == "absorbing"]
    if masked:
        own = Statistics.concatenate([statistics[i] for i in masked])
        for i, change in zip(masked, follow_rules([views[i] for i in masked], own, eos), strict=True):
            changes[i] = change
            denoise(views[i].run, views[i].canvas, change)
    for i in set(ruled) - set(masked):
        changes[i] = change = follow_renoise(views[i], statistics[i])
        renoise(views[i].run, views[i].canvas, change)
    for view, own in zip(views, statistics, strict=True):
        if view.turn.fed.outcome == "take":
            take(view.run, view.turn.fed, own.proposal)
        elif view.turn.fed.outcome == "verify":
            verify(view.run, own.proposal)
    for view, own, what in zip(views, statistics, changes, strict=True):
        note(view, own, what)
    return changes


def _before(view: View) -> StepTrace:
    run, fed, canvas = view.run, view.turn.fed, view.canvas
    tokens = tuple(run.sequence.tokens[canvas.start : canvas.end].tolist())
    return StepTrace(
        run.request.id,
        fed.kind,
        fed.outcome,
        fed.start,
        fed.stop,
        canvas.index,
        canvas.step,
        canvas.start,
        tokens,
        tokens,
        step_quota(run, canvas) if fed.outcome == "rule" else 0,
    )


def _after(trace: StepTrace, view: View, statistics: Statistics, change: Change | None) -> StepTrace:
    """``trace`` completed by what the step did. Draft checks have no change of their own; ``after`` tells theirs."""
    eligible = tuple(view.positions.tolist())
    end = max(trace.start + len(trace.before), view.run.canvas.start + 1)
    tokens = view.run.sequence.tokens[trace.start : end].tolist()
    accepted = eligible if view.turn.fed.outcome == "take" else ()
    edited: tuple[int, ...] = ()
    if change is not None:
        accepted = tuple((change.accepted.nonzero().flatten() + trace.start).tolist())
        edited = tuple((change.edited.nonzero().flatten() + trace.start).tolist())
    return replace(
        trace,
        after=tuple(tokens),
        eligible=eligible,
        proposed=tuple(statistics.proposal.tolist()),
        best=tuple(statistics.best.tolist()),
        confidence=tuple(statistics.confidence.tolist()),
        margin=tuple(statistics.margin.tolist()),
        entropy=tuple(statistics.entropy.tolist()),
        accepted=accepted,
        edited=edited,
    )
