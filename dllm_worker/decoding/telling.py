"""What a request's listeners hear after a pass: drafts, tokens that became final, and the end."""

from __future__ import annotations

from dataclasses import replace

import torch

from dllm_worker.canvas import total_length
from dllm_worker.request import Commit, Draft, Event, Finish, FinishReason, TokenLogprobs
from dllm_worker.running import Running
from dllm_worker.sampling.samplers import SAMPLERS


def tell(run: Running) -> list[Event]:
    """The events of the pass that has just been entered into ``run``; ``Finish`` when nothing is left to do."""
    if run.request.template is not None:
        close_holes(run)
    events: list[Event] = [*_draft(run), *_commit(run)]
    reason = _finish_reason(run)
    if reason is not None:
        events.append(Finish(run.request.id, reason, run.usage))
    return events


def _draft(run: Running) -> list[Event]:
    if not run.request.drafts:
        return []
    prompt = len(run.request.prompt)
    drafts: list[Event] = []
    for canvas in run.canvases:
        begin = max(prompt, canvas.start)
        tokens = run.sequence.tokens[begin : canvas.end]
        if run.best is not None:
            tokens = run.best[begin - canvas.start :]
        masked = run.sequence.masks(canvas.start, canvas.end)
        drafts.append(Draft(run.request.id, canvas.index, canvas.step, begin - prompt, tuple(tokens.tolist()), masked))
    return drafts


def _final_end(run: Running) -> int:
    """Positions before this one will not change any more."""
    settled = run.canvas.start
    for canvas in run.canvases:
        if not canvas.settled:
            break
        settled = canvas.end
    if SAMPLERS[run.request.sampling.algorithm].monotone:
        return run.sequence.first_mask(settled, run.canvases[-1].end)
    if run.request.sampling.algorithm == "linear_speculation":
        return max(settled, run.sequence.first_mask(run.canvas.start, run.canvas.start + 1))
    return settled


def _commit(run: Running) -> list[Event]:
    """The answer's tokens that became final in this pass, up to an end-of-sequence token."""
    canvas, prompt = run.canvas, len(run.request.prompt)
    begin = prompt + run.told
    fresh: list[int] = run.sequence.tokens[begin : _final_end(run)].tolist()
    if run.request.template is None and run.request.sampling.eos != "ignore":
        fresh = fresh[: until_eos(run, fresh)]
    if not fresh:
        return []
    _count_told(run, fresh)
    start, logprobs = begin - prompt, _take_logprobs(run, begin, len(fresh))
    return [Commit(run.request.id, canvas.index, canvas.step, start, tuple(fresh), run.usage, logprobs)]


def _take_logprobs(run: Running, begin: int, count: int) -> tuple[TokenLogprobs | None, ...]:
    if run.request.logprobs is None:
        return ()
    return tuple(run.logprobs.pop(position, None) for position in range(begin, begin + count))


def _count_told(run: Running, fresh: list[int]) -> None:
    template, start = run.request.template, run.told
    run.told += len(fresh)
    written = len(fresh)
    if template is not None:
        ends = run.spec.eos_token_ids
        written = sum(template[start + i] is None and token not in ends for i, token in enumerate(fresh))
    run.usage = replace(run.usage, completion_tokens=run.usage.completion_tokens + written)
    if run.guess is not None:
        before = run.written(len(run.request.prompt) + start)
        accepted, rejected = run.guess.compare(before, torch.tensor(fresh))
        run.usage = replace(
            run.usage,
            accepted_prediction_tokens=run.usage.accepted_prediction_tokens + accepted,
            rejected_prediction_tokens=run.usage.rejected_prediction_tokens + rejected,
        )


def until_eos(run: Running, tokens: list[int]) -> int:
    """How many of ``tokens`` precede the first end of sequence."""
    return next((i for i, token in enumerate(tokens) if token in run.spec.eos_token_ids), len(tokens))


def _finish_reason(run: Running) -> FinishReason | None:
    last = run.canvases[-1]
    if run.concluding and (run.is_untouched or all(canvas.settled for canvas in run.canvases)):
        return "deadline"
    complete = all(canvas.settled for canvas in run.canvases) and last.end == total_length(run.request)
    if run.request.template is not None:
        return "stop" if complete else None
    if run.request.sampling.eos != "ignore" and _ended(run):
        return "stop"
    return "length" if complete else None


def _ended(run: Running) -> bool:
    """Whether the next token to tell ends the sequence, and its canvas is settled where that is waited for."""
    following, final = len(run.request.prompt) + run.told, _final_end(run)
    if following >= final or int(run.sequence.tokens[following]) not in run.spec.eos_token_ids:
        return False
    if run.request.sampling.eos == "prefix":
        return True
    return all(canvas.settled for canvas in run.canvases if canvas.start <= following)


def close_holes(run: Running) -> None:
    """Fill a hole's remaining masks with end-of-sequence once the hole's clean beginning holds one.

    Everything after that token is cut from the hole's text, so denoising it would be wasted.
    """
    prompt, canvas = len(run.request.prompt), run.canvas
    if run.spec.corruption == "uniform":
        return
    for hole in hole_spans(run.request.template or ()):
        start, stop = prompt + hole.start, prompt + hole.stop
        first = run.sequence.first_mask(start, stop)
        clean: list[int] = run.sequence.tokens[start:first].tolist()
        if first < stop and until_eos(run, clean) < len(clean):
            masked = run.sequence.masked[start:stop].clone()
            end = torch.full((stop - start,), run.spec.eos_token_ids[0])
            run.sequence.accept(start, masked, end)
    canvas.settled = canvas.settled or (
        not SAMPLERS[run.request.sampling.algorithm].edits and run.sequence.is_settled(canvas.start, canvas.end)
    )


def hole_spans(template: tuple[int | None, ...]) -> list[range]:
    """Runs of holes; holes that touch count as one."""
    edges = [i for i in range(len(template) + 1) if _is_hole(template, i) != _is_hole(template, i - 1)]
    return [range(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _is_hole(template: tuple[int | None, ...], index: int) -> bool:
    return 0 <= index < len(template) and template[index] is None
