"""Canvases as plain numbers: where they begin and end, and how far each is denoised."""

from __future__ import annotations

from dataclasses import dataclass

from dllm_worker.request import CacheParameters, Request
from dllm_worker.spec import ContextAttention, ModelSpec

RENOISE_STEPS = 48
"""Denoising steps of a canvas of uniform corruption that sets no bound (DiffusionGemma's published default)."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The blocks of a request's positions: the first has ``first`` positions and every other one ``length``."""

    first: int
    length: int

    def start_of(self, position: int) -> int:
        """Where the block of ``position`` begins."""
        return 0 if position < self.first else position - (position - self.first) % self.length

    def end_of(self, position: int, stop: int) -> int:
        """Where the block of ``position`` ends, at ``stop`` at the latest."""
        end = self.first if position < self.first else self.start_of(position) + self.length
        return min(end, stop)

    def edges(self, start: int, stop: int) -> list[int]:
        """``start``, every block's beginning between them, and ``stop``."""
        return [start, *range(self.end_of(start, stop), stop, self.length), stop]


@dataclass(slots=True)
class Canvas:
    """The positions ``start:end`` that are denoised together.

    ``opened`` is the number of masks at step 0. ``refreshed`` is the step whose pass computed all keys and values of
    an approximate cache, ``None`` before the first one. ``post_steps`` counts steps without masks and ``unchanged``
    consecutive steps with the same most probable tokens. ``seeded`` positions hold a guess that no step has tested.
    A ``settled`` canvas is final.
    """

    index: int
    start: int
    end: int
    opened: int
    step: int = 0
    refreshed: int | None = None
    post_steps: int = 0
    unchanged: int = 0
    settled: bool = False
    seeded: int = 0

    @property
    def length(self) -> int:
        return self.end - self.start

    def max_steps(self, request: Request, spec: ModelSpec) -> int:
        """The step bound; without one of the request's own it is the number of masks, one accepted in each.

        More steps than masks are none, but where a step is a point in time they change what each of them accepts.
        """
        wanted = request.sampling.max_steps
        if spec.corruption == "uniform":
            return wanted or RENOISE_STEPS
        most = self.length if spec.conventions.quota == "canvas" else self.opened
        if wanted and (request.sampling.schedule == "dream" or request.sampling.algorithm == "ancestral"):
            return wanted
        return min(wanted or most, max(1, most))


def attention_of(request: Request, spec: ModelSpec) -> ContextAttention:
    """How the committed tokens of this request see each other."""
    if request.sampling.algorithm in ("autoregressive", "linear_speculation"):
        return "causal"
    return request.context_attention or spec.context_attention


def is_seeded(request: Request, spec: ModelSpec) -> bool:
    """Whether the pass that writes a request's context also gives the first token of the next canvas."""
    return spec.next_token and attention_of(request, spec) == spec.context_attention


def total_length(request: Request) -> int:
    """Positions of prompt and answer together."""
    answer = request.max_tokens if request.template is None else len(request.template)
    return len(request.prompt) + answer


def grid_length(request: Request, spec: ModelSpec) -> int:
    """Positions of a whole canvas of this request."""
    return 1 if request.sampling.algorithm == "autoregressive" else request.canvas_length or spec.canvas_length


def grid_of(request: Request, spec: ModelSpec) -> Grid:
    """The blocks in which this request's context is encoded, and its canvases beyond the first."""
    length, prompt = grid_length(request, spec), len(request.prompt)
    if spec.canvas_anchor == "zero":
        return Grid(length, length)
    if spec.prompt_block and attention_of(request, spec) == "block_causal":
        return Grid(prompt or length, length)
    return Grid(prompt % length or length, length)


def first_start(request: Request, spec: ModelSpec) -> int:
    """Where the first canvas begins; with an anchor at zero the prompt's tail may share its block."""
    prompt = len(request.prompt)
    if spec.canvas_anchor == "prompt" or attention_of(request, spec) == "bidirectional":
        return prompt
    return grid_of(request, spec).start_of(prompt)


def last_start(request: Request, spec: ModelSpec) -> int:
    """Where the last canvas begins."""
    start, length = first_start(request, spec), grid_length(request, spec)
    if request.template is not None:
        return start
    return start + max(0, total_length(request) - 1 - start) // length * length


def streams(request: Request) -> int:
    """Sequences that are run for a request: guidance needs one more, without the prompt (arXiv 2207.12598)."""
    return 2 if request.sampling.guidance else 1


def canvas_end(request: Request, spec: ModelSpec, start: int) -> int:
    """Where the canvas at ``start`` ends; the last one is cut to what is left."""
    total = total_length(request)
    return total if request.template is not None else min(start + grid_length(request, spec), total)


def needs_refresh(canvas: Canvas, cache: CacheParameters) -> bool:
    """Whether an approximate cache of this canvas has to be computed anew before its next step."""
    if canvas.refreshed is None:
        return True
    return cache.refresh_every is not None and canvas.step - canvas.refreshed >= cache.refresh_every


def reuse_window(canvas: Canvas, cache: CacheParameters, total: int) -> tuple[int, int]:
    """The positions that a step against an approximate cache computes (Fast-dLLM, arXiv 2505.22618; dInfer)."""
    if cache.kind == "prefix":
        return canvas.start, total
    if cache.kind == "dual":
        return canvas.start, canvas.end
    return max(0, canvas.start - cache.before), min(total, canvas.end + cache.after)
