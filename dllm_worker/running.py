"""One request in the engine: its tokens, its open canvases, and what is cached of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from dllm_worker.batch import BlockRows
from dllm_worker.canvas import (
    Canvas,
    Grid,
    attention_of,
    canvas_end,
    first_start,
    grid_of,
    is_seeded,
    total_length,
)
from dllm_worker.capabilities import PREDICTION
from dllm_worker.decoding.passes import Pass
from dllm_worker.forecast import Reached
from dllm_worker.guess import NO_GUESS, Guess
from dllm_worker.interface import fingerprint
from dllm_worker.noise import Draws, NoiseKeys
from dllm_worker.request import Request, TokenLogprobs, Usage
from dllm_worker.scheduling.planner import StepKind
from dllm_worker.sequence import Sequence, masked_span
from dllm_worker.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Replay:
    """A pass that wrote an approximate cache: the positions from ``start`` on and the tokens they held."""

    start: int
    tokens: Tensor

    @property
    def stop(self) -> int:
        return self.start + self.tokens.shape[0]


@dataclass(slots=True)
class Running:
    """``slots`` are the cache slots by position, once for each stream: a guided request has a second one.

    The first ``cached`` positions have exact keys and values; a canvas may be denoised once that reaches its start.
    ``known`` positions were there when the request came or came back. ``carry`` is the hidden row before the canvas,
    ``soft`` its self-conditioning and ``best`` its most probable tokens. ``replays`` are the passes that made the
    approximate cache; the last ``lost`` of them must be repeated before the canvas goes on, and an ``unconditioned``
    canvas must be read once more for its self-conditioning. One that is ``concluding`` fills its open canvases in its
    next step and ends with them. ``guess`` is the predicted answer, and ``logprobs`` are those of the accepted
    positions that are not told yet.
    """

    request: Request
    spec: ModelSpec
    slots: tuple[Tensor, ...]
    draws: Draws
    grid: Grid
    sequence: Sequence
    canvases: list[Canvas]
    cached: int = 0
    known: int = 0
    told: int = 0
    waited_since: int = 0
    joined: int = 0
    usage: Usage = field(default_factory=Usage)
    carry: Tensor | None = None
    soft: Tensor | None = None
    best: Tensor | None = None
    replays: list[Replay] = field(default_factory=list)
    lost: int = 0
    unconditioned: bool = False
    concluding: bool = False
    guess: Guess | None = None
    logprobs: dict[int, TokenLogprobs] = field(default_factory=dict)
    fingerprint: str = ""

    @staticmethod
    def start(request: Request, spec: ModelSpec, slots: tuple[Tensor, ...], draws: Draws, cached: int = 0) -> Running:
        """Open the first canvas; the first ``cached`` positions are in the cache already."""
        begin = first_start(request, spec)
        reach = total_length(request) if attention_of(request, spec) == "bidirectional" else begin
        sequence = Sequence(*masked_span(request, 0, reach, spec.mask_token_id or 0))
        usage = replace(Running.idle_usage(request), cached_tokens=cached)
        grid = grid_of(request, spec)
        run = Running(request, spec, slots, draws, grid, sequence, [], cached=cached, known=begin, usage=usage)
        run.fingerprint = fingerprint(request)
        run.guess = Guess.of(request, spec)
        run.open_canvas(begin)
        return run

    @staticmethod
    def idle_usage(request: Request) -> Usage:
        """What a request has used before its first step."""
        return Usage(prompt_tokens=len(request.prompt))

    @property
    def canvas(self) -> Canvas:
        """The first of the open canvases."""
        return self.canvases[0]

    @property
    def is_untouched(self) -> bool:
        """Whether nothing has been done to its only open canvas."""
        canvas = self.canvas
        if len(self.canvases) > 1:
            return False
        if self.spec.corruption == "uniform":
            return canvas.step == 0
        masks = self.sequence.masks(canvas.start, canvas.end)
        return canvas.refreshed is None and masks + canvas.seeded == canvas.opened

    @property
    def is_at_boundary(self) -> bool:
        """Whether it stands between two canvases."""
        return self.canvas.index > 0 and self.is_untouched

    @property
    def reached(self) -> Reached:
        """How far it is, for forecasts."""
        canvas = self.canvas
        masked = self.sequence.masks(canvas.start, canvas.end)
        return Reached(canvas.start, masked, canvas.step, min(self.cached, canvas.start), canvas.refreshed)

    @property
    def is_bidirectional(self) -> bool:
        return attention_of(self.request, self.spec) == "bidirectional"

    @property
    def is_causal(self) -> bool:
        return attention_of(self.request, self.spec) == "causal"

    @property
    def pending(self) -> int:
        """Committed positions before the canvas that are not cached yet; bidirectional models cache none of them."""
        return 0 if self.is_bidirectional else max(0, self.canvas.start - self.cached)

    @property
    def wants_seed(self) -> bool:
        """Whether the pass that writes the context must also give the first token of the canvas."""
        return is_seeded(self.request, self.spec) and bool(self.sequence.masked[self.canvas.start])

    @property
    def is_inconsistent(self) -> bool:
        """Whether more is cached than is final, or the tokens end before the canvases do."""
        return self.cached > self.canvas.start or self.sequence.length < self.canvases[-1].end

    def noise_keys(self, canvas: Canvas, positions: Tensor, step: int) -> NoiseKeys:
        """The names of the draws at ``positions`` of a canvas in one step."""

        def fill(value: int) -> Tensor:
            return torch.full_like(positions, value)

        return NoiseKeys(fill(self.request.sampling.seed), fill(canvas.index), fill(step), positions)

    def open_canvas(self, start: int) -> Canvas:
        """Begin the canvas at ``start``: pinned text stands, everything else is masked or, without a mask, random."""
        end = canvas_end(self.request, self.spec, start)
        canvas = Canvas(self.usage.canvases, start, end, opened=0)
        if end > self.sequence.length:
            begin = self.sequence.length
            tokens, masked = masked_span(self.request, begin, end, self.spec.mask_token_id or 0)
            if self.spec.corruption == "uniform":
                random = self.draws.tokens(
                    self.noise_keys(canvas, torch.arange(begin, end), step=0), self.spec.vocab_size
                )
                tokens = torch.where(masked, random, tokens)
            self.sequence.extend(tokens, masked)
        canvas.opened = self.sequence.masks(start, end)
        self._start_from_guess(canvas)
        self.canvases.append(canvas)
        self.usage = replace(self.usage, canvases=self.usage.canvases + 1)
        self.soft = self.best = None
        return canvas

    def written(self, end: int) -> Tensor:
        """The answer's tokens before position ``end``, int64."""
        return self.sequence.tokens[len(self.request.prompt) : end]

    def _start_from_guess(self, canvas: Canvas) -> None:
        """Give a fresh canvas the tokens that are predicted, where its algorithm can do away with wrong ones.

        The first one is left to the pass that predicts it from the context, where there is such a pass.
        """
        if self.guess is None or PREDICTION[self.request.sampling.algorithm] != "start":
            return
        begin = max(canvas.start, len(self.request.prompt))
        written = self.written(begin)
        if not self.guess.goes_on(written):
            return
        expected = self.guess.after(written, canvas.end - begin)
        if is_seeded(self.request, self.spec):
            expected[0] = NO_GUESS
        if self.spec.corruption == "uniform":
            tokens = self.sequence.tokens[begin : canvas.end]
            self.sequence.tokens[begin : canvas.end] = torch.where(expected == NO_GUESS, tokens, expected)
        else:
            never = torch.tensor((NO_GUESS, *self.spec.suppressed_token_ids))
            known = ~torch.isin(expected, never)
            self.sequence.accept(begin, known, expected)
            canvas.seeded = int(known.sum())

    def blocks(self, fed: Pass, stream: int = 0) -> list[BlockRows]:
        """The rows of ``fed``. The second stream, of guidance, sees masks in place of the prompt."""
        tokens = self.sequence.tokens[fed.start : fed.stop] if fed.tokens is None else fed.tokens
        if stream == 1:
            hidden = torch.arange(fed.start, fed.stop) < len(self.request.prompt)
            tokens = tokens.masked_fill(hidden, self.spec.mask_token_id or 0)
        slots = self.slots[stream]
        return [
            BlockRows(
                tokens[span.start - fed.start : span.stop - fed.start].to(slots.device),
                span.start,
                slots,
                stored=span.stored,
                causal=span.causal,
                sees=span.sees,
                denoised=span.denoised,
                soft=self.soft if span.denoised else None,
            )
            for span in fed.spans
        ]

    def account(self, fed: Pass) -> None:
        """Enter one forward pass into the usage, and what it wrote into what is cached."""
        usage, denoised = self.usage, fed.is_step and any(span.denoised for span in fed.spans)
        encoded = not denoised
        self.usage = replace(
            usage,
            position_forwards=usage.position_forwards + fed.positions * len(self.slots),
            denoising_steps=usage.denoising_steps + denoised,
            prefill_forwards=usage.prefill_forwards + (encoded and fed.kind is StepKind.PREFILL),
            commit_forwards=usage.commit_forwards + (encoded and fed.kind is not StepKind.PREFILL),
        )
        if not self.is_bidirectional:
            self.cached = max(self.cached, min(fed.stored_stop, self.canvas.start))
