"""What a pass's predictions do to a request: its canvases change, settle, and make room for the next ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dllm_worker.canvas import Canvas, total_length
from dllm_worker.decoding.passes import Pass
from dllm_worker.running import Replay, Running
from dllm_worker.sampling.samplers import SAMPLERS

if TYPE_CHECKING:
    from dllm_worker.decoding.changes import Change


def denoise(run: Running, canvas: Canvas, change: Change) -> None:
    """One step of absorbing diffusion: only accepted, edited and refuted cells change."""
    complete = run.sequence.is_settled(canvas.start, canvas.end)
    run.sequence.accept(canvas.start, change.accepted | change.edited, change.proposal)
    run.sequence.mask(canvas.start, change.refuted, run.spec.mask_token_id or 0)
    canvas.step += 1
    canvas.seeded = 0
    if run.concluding:
        canvas.settled = True
    elif SAMPLERS[run.request.sampling.algorithm].edits:
        _count_post_step(run, canvas, final=complete and not bool(change.edited.any()))
    elif run.request.sampling.algorithm != "linear_speculation":
        canvas.settled = run.sequence.is_settled(canvas.start, canvas.end)


def _count_post_step(run: Running, canvas: Canvas, *, final: bool) -> None:
    """An editing canvas ends with a step that changes nothing, or after its bound of steps without masks."""
    if run.sequence.is_settled(canvas.start, canvas.end):
        canvas.post_steps += 1
        canvas.settled = final or canvas.post_steps > run.request.sampling.max_post_steps


def renoise(run: Running, canvas: Canvas, change: Change) -> None:
    """One step of uniform diffusion: nothing is final until the canvas stops and becomes its most probable tokens."""
    span = slice(canvas.start, canvas.end)
    canvas.step += 1
    run.best = change.best
    if change.stop and change.best is not None:
        run.sequence.accept(canvas.start, run.sequence.masked[span].clone(), change.best)
        canvas.settled = True
    else:
        run.sequence.tokens[span] = change.proposal


def take(run: Running, fed: Pass, proposal: Tensor) -> None:
    """Every eligible position gets its prediction: the first token of a canvas."""
    canvas = run.canvas
    run.sequence.tokens[fed.eligible] = proposal
    run.sequence.masked[fed.eligible] = False
    if any(span.denoised for span in fed.spans):
        canvas.step += 1
    complete = run.sequence.is_settled(canvas.start, canvas.end) and not canvas.seeded
    canvas.settled = complete and (canvas.length == 1 or run.request.sampling.algorithm != "linear_speculation")


def verify(run: Running, proposal: Tensor) -> None:
    """Keep the draft as far as the autoregressive reading agrees, and that reading's next token (arXiv 2607.05722).

    ``proposal`` are the tokens behind each drafted position. Keys and values behind what is kept are void; the last
    token kept opens the next draft.
    """
    start, total = run.canvas.start, total_length(run.request)
    draft = run.sequence.tokens[start + 1 : run.canvas.end]
    agreed = int((proposal[: len(draft)] == draft).int().cumprod(0).sum())
    kept = min(agreed + 1, len(proposal))
    run.sequence.cut(start + 1)
    run.sequence.extend(proposal[:kept], torch.zeros(kept, dtype=torch.bool))
    run.canvases.clear()
    run.cached = start + kept
    canvas = run.open_canvas(start + kept)
    canvas.settled = start + kept + 1 == total


def remember(run: Running, fed: Pass) -> None:
    """Note a pass that wrote an approximate cache, so that it can be made again."""
    if fed.tokens is not None:
        run.lost -= 1
        return
    if run.request.cache.kind == "none" or not fed.spans[-1].denoised:
        return
    start = next(span.start for span in fed.spans if span.denoised)
    made = Replay(start, run.sequence.tokens[start : fed.stop].clone())
    if run.canvas.refreshed is None or fed.spans[-1].sees == 0:
        run.canvas.refreshed = run.canvas.step
        run.replays.clear()
    elif run.replays and (run.replays[-1].start, run.replays[-1].stop) == (made.start, made.stop):
        run.replays.pop()
    run.replays.append(made)


def open_next(run: Running) -> None:
    """Settled canvases at the front become context; at most one canvas is opened behind the last."""
    last = run.canvases[-1]
    while run.canvases and run.canvases[0].settled:
        run.canvases.pop(0)
        run.carry = None
        run.replays.clear()
    if last.end < total_length(run.request) and (not run.canvases or _opens_ahead(run, last)):
        run.open_canvas(last.end)


def _opens_ahead(run: Running, last: Canvas) -> bool:
    """Whether the last canvas is settled far enough for a further one, and no end of the answer in sight (D2F)."""
    sampling = run.request.sampling
    return sampling.algorithm == "pipelined" and progress(run, last) >= sampling.open_share and not _has_end(run)


def progress(run: Running, canvas: Canvas) -> float:
    """The share of a canvas's masks that are settled."""
    return 1.0 - run.sequence.masks(canvas.start, canvas.end) / max(1, canvas.opened)


def _has_end(run: Running) -> bool:
    if run.request.sampling.eos == "ignore":
        return False
    span = slice(run.canvas.start, run.canvases[-1].end)
    settled = run.sequence.tokens[span][~run.sequence.masked[span]]
    return bool(torch.isin(settled, torch.tensor(run.spec.eos_token_ids)).any())
