"""The cache disciplines: which pass a request runs next, and how large it may be.

Exact ones write committed tokens once; the pass that does so includes the first step of the next canvas, which sees
them as it would later. Only a canvas that waits for its first token from that pass cannot join it. Approximate ones
compute the whole sequence (or the whole canvas, for one that is denoised in parts) in a *refresh* and the window
around the masks in the *reuse* steps that follow.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from dllm_worker.canvas import Canvas, needs_refresh, reuse_window, total_length
from dllm_worker.decoding.passes import Pass, Span, context_spans
from dllm_worker.running import Running
from dllm_worker.sampling.samplers import SAMPLERS
from dllm_worker.scheduling.planner import Demand, StepKind


def demand_of(run: Running) -> Demand:
    """What the request could feed to the next step, and the pieces in which it can be had."""
    streams = len(run.slots)
    if run.pending:
        kind, positions = _context_kind(run), _context_reach(run) - run.cached
        first, grain = run.grid.end_of(run.cached, run.canvas.start) - run.cached, run.grid.length
    else:
        whole = next_pass(run, run.sequence.length)
        kind, positions, first, grain = whole.kind, whole.positions, whole.positions, 0
    return Demand(
        request_id=run.request.id,
        kind=kind,
        positions=positions * streams,
        first=first * streams,
        grain=grain * streams,
        waited_since=run.waited_since,
        priority=run.request.priority,
        deadline=run.request.deadline,
    )


def next_pass(run: Running, limit: int) -> Pass:
    """The next pass of at most ``limit`` positions; the smallest possible one may be larger."""
    if run.pending:
        return _context_pass(run, limit)
    if run.lost:
        return _repeated_pass(run)
    if run.unconditioned:
        return _conditioning_pass(run)
    if run.is_bidirectional:
        return _sequence_pass(run)
    if run.request.sampling.algorithm == "linear_speculation" and run.sequence.is_settled(
        run.canvas.start, run.canvas.end
    ):
        return _verifying_pass(run)
    if _is_divided(run):
        return _divided_pass(run)
    return Pass(StepKind.REUSE, _canvas_spans(run), "rule", _eligible(run), run.spec.logit_shift)


def _is_divided(run: Running) -> bool:
    """Whether keys and values of this request's canvas are reused while its parts are denoised."""
    return run.request.cache.kind == "dual" and not run.is_bidirectional


def _context_kind(run: Running) -> StepKind:
    return StepKind.PREFILL if run.cached < run.known else StepKind.COMMIT


def _context_reach(run: Running) -> int:
    """Where a pass that writes all the context ends: with the canvas, unless that has to wait."""
    waits = run.lost or run.wants_seed or _joining_canvas(run) is None
    return run.canvas.start if waits else run.canvases[-1].end


def _context_pass(run: Running, limit: int) -> Pass:
    """Committed tokens into the cache, and with them the canvas where it fits and waits for nothing."""
    canvas, kind = run.canvas, _context_kind(run)
    spans = context_spans(run.grid, run.cached, canvas.start, limit, causal=run.is_causal)
    if spans[-1].stop < canvas.start or run.lost:
        return Pass(kind, spans, "store")
    if run.wants_seed:
        return Pass(kind, spans, "take", torch.tensor([canvas.start]), shift=1)
    joined = _joining_canvas(run)
    if run.canvases[-1].end - run.cached > limit or joined is None:
        return Pass(kind, spans, "store")
    return replace(joined, kind=kind, spans=spans + joined.spans)


def _joining_canvas(run: Running) -> Pass | None:
    """The canvas's own next pass, if it starts where the context ends."""
    canvas = run.canvas
    if run.unconditioned:
        return _conditioning_pass(run)
    if run.request.sampling.algorithm == "linear_speculation" and run.sequence.is_settled(canvas.start, canvas.end):
        return None
    if _is_divided(run):
        return _divided_pass(run) if canvas.refreshed is None else None
    return Pass(StepKind.REUSE, _canvas_spans(run), "rule", _eligible(run), run.spec.logit_shift)


def _conditioning_pass(run: Running) -> Pass:
    """Read the canvas for what the next step is conditioned on."""
    return Pass(StepKind.PREFILL, _canvas_spans(run), "condition", _eligible(run))


def _canvas_spans(run: Running) -> tuple[Span, ...]:
    """The open canvases. One that others see from behind is written, though it may still change."""
    last = run.canvases[-1]
    return tuple(Span(c.start, c.end, stored=c is not last, denoised=True) for c in run.canvases)


def _eligible(run: Running) -> Tensor:
    """Positions whose prediction the sampler wants to see in this step."""
    return torch.cat([canvas_positions(run, canvas) for canvas in run.canvases])


def canvas_positions(run: Running, canvas: Canvas) -> Tensor:
    """The positions of a canvas that may change: its masks, of a divided one those of the first part that has any.

    An editing sampler may also change what it has written itself. All masks are due of a request that concludes.
    """
    start, end = canvas.start, canvas.end
    if SAMPLERS[run.request.sampling.algorithm].edits:
        return editable(run, canvas)
    if run.spec.sub_canvas_length is not None and run.request.template is None and not run.concluding:
        start, end = sub_canvas(run, canvas)
    return run.sequence.masked[start:end].nonzero().flatten() + start


def editable(run: Running, canvas: Canvas) -> Tensor:
    """Positions of the canvas that are no part of the request."""
    template, prompt = run.request.template, len(run.request.prompt)
    positions = torch.arange(max(canvas.start, prompt), canvas.end)
    if template is None:
        return positions
    return positions[[template[position - prompt] is None for position in positions.tolist()]]


def sub_canvas(run: Running, canvas: Canvas) -> tuple[int, int]:
    """The first part of the canvas that has a mask (Fast-dLLM v2, arXiv 2509.26328)."""
    length = run.spec.sub_canvas_length or canvas.length
    offset = run.sequence.first_mask(canvas.start, canvas.end - 1) - canvas.start
    start = canvas.start + offset // length * length
    return start, min(start + length, canvas.end)


def _sequence_pass(run: Running) -> Pass:
    """A model whose positions all see each other: everything, or the window around the canvas."""
    cache, canvas, total = run.request.cache, run.canvas, total_length(run.request)
    shift = run.spec.logit_shift
    if cache.kind == "none":
        return Pass(StepKind.REFRESH, (Span(0, total, stored=False, denoised=True),), "rule", _eligible(run), shift)
    start, stop = reuse_window(canvas, cache, total)
    if not needs_refresh(canvas, cache):
        window = Span(start, stop, stored=True, sees=total, denoised=True)
        return Pass(StepKind.REUSE, (window,), "rule", _eligible(run), shift)
    everything = (Span(0, total, stored=True, denoised=True),)
    if takes_first(run):
        return Pass(StepKind.REFRESH, everything, "take", torch.tensor([start]), shift)
    return Pass(StepKind.REFRESH, everything, "rule", _eligible(run), shift)


def takes_first(run: Running) -> bool:
    """Whether the next pass gives its canvas the first token, which no row of the window after it predicts."""
    cache, canvas = run.request.cache, run.canvas
    if not run.is_bidirectional or cache.kind == "none" or not run.spec.logit_shift or run.concluding:
        return False
    if not needs_refresh(canvas, cache):
        return False
    start, _ = reuse_window(canvas, cache, total_length(run.request))
    return start == canvas.start and bool(run.sequence.masked[start])


def _divided_pass(run: Running) -> Pass:
    """A canvas denoised in parts: the whole of it until the first token of the part is known, then the part alone."""
    canvas, shift = run.canvas, run.spec.logit_shift
    start, stop = sub_canvas(run, canvas)
    if canvas.refreshed is None or run.concluding or (shift and bool(run.sequence.masked[start])):
        whole = Span(canvas.start, canvas.end, stored=True, denoised=True)
        return Pass(StepKind.REFRESH, (whole,), "rule", _eligible(run), shift)
    part = Span(start, stop, stored=True, sees=canvas.end, denoised=True)
    return Pass(StepKind.REUSE, (part,), "rule", _eligible(run), shift)


def _verifying_pass(run: Running) -> Pass:
    """Read the draft as an autoregressive model would; every row predicts the position after it."""
    canvas = run.canvas
    span = Span(canvas.start, canvas.end, stored=True, causal=True)
    last = min(canvas.end, total_length(run.request) - 1)
    return Pass(StepKind.COMMIT, (span,), "verify", torch.arange(canvas.start + 1, last + 1), shift=1)


def _repeated_pass(run: Running) -> Pass:
    """The next of the passes that made an approximate cache, which was lost."""
    replay = run.replays[len(run.replays) - run.lost]
    region = run.canvas.end if not run.is_bidirectional else total_length(run.request)
    span = Span(replay.start, replay.stop, stored=True, sees=region, denoised=True)
    return Pass(StepKind.PREFILL, (span,), "store", tokens=replay.tokens)
