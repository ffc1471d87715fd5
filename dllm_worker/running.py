"""One request in the engine: its canvas, what is cached of it, and what it has told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from dllm_worker.batch import BlockRows
from dllm_worker.canvas import Canvas, first_start, grid_length, last_start, open_canvas, total_length
from dllm_worker.planner import Demand, StepKind
from dllm_worker.request import Commit, Draft, Event, Finish, FinishReason, Request, Usage
from dllm_worker.spec import ModelSpec


@dataclass(slots=True)
class Running:
    """``tokens`` are all final tokens before the canvas; the first ``cached`` of them have keys and values.

    The canvas may be denoised once everything before it is cached.
    """

    request: Request
    spec: ModelSpec
    slots: Tensor
    canvas: Canvas
    tokens: Tensor
    cached: int = 0
    told: int = 0
    waited_since: int = 0
    usage: Usage = field(default_factory=Usage)

    @staticmethod
    def start(request: Request, spec: ModelSpec, slots: Tensor) -> Running:
        """Open the first canvas. ``slots`` are the cache slots of all positions before the last canvas."""
        begin = first_start(request, spec)
        tokens = torch.tensor(request.prompt[:begin], dtype=torch.int64, device=slots.device)
        canvas = open_canvas(request, spec, 0, begin, slots.device)
        usage = replace(Running.idle_usage(request), canvases=1)
        return Running(request, spec, slots, canvas, tokens, usage=usage)

    @staticmethod
    def idle_usage(request: Request) -> Usage:
        """What a request has used before its first step."""
        return Usage(prompt_tokens=len(request.prompt))

    @property
    def is_inconsistent(self) -> bool:
        """Whether more is cached than is final, or the final tokens do not end where the canvas begins."""
        return self.cached > self.canvas.start or self.tokens.shape[0] != self.canvas.start

    @property
    def kind(self) -> StepKind:
        if self.cached >= self.canvas.start:
            return StepKind.REUSE
        return StepKind.PREFILL if self.canvas.index == 0 else StepKind.COMMIT

    @property
    def demand(self) -> Demand:
        positions = self.canvas.length if self.kind is StepKind.REUSE else self.canvas.start - self.cached
        grain = grid_length(self.request, self.spec)
        return Demand(self.request.id, self.kind, positions, grain, self.waited_since)

    def blocks(self, positions: int) -> list[BlockRows]:
        """The rows of the next step: the canvas, or the next ``positions`` that wait for the cache, in blocks."""
        if self.kind is StepKind.REUSE:
            return [BlockRows(self.canvas.tokens, self.canvas.start, self.slots, stored=False)]
        pieces = torch.split(self.tokens[self.cached : self.cached + positions], grid_length(self.request, self.spec))
        starts = range(self.cached, self.cached + positions, grid_length(self.request, self.spec))
        return [BlockRows(piece, at, self.slots, stored=True) for at, piece in zip(starts, pieces, strict=True)]

    def account(self, kind: StepKind, positions: int) -> None:
        """Enter one forward pass of this request into its usage."""
        usage = self.usage
        self.usage = replace(
            usage,
            position_forwards=usage.position_forwards + positions,
            denoising_steps=usage.denoising_steps + (kind is StepKind.REUSE),
            prefill_forwards=usage.prefill_forwards + (kind is StepKind.PREFILL),
            commit_forwards=usage.commit_forwards + (kind is StepKind.COMMIT),
        )
        if kind is not StepKind.REUSE:
            self.cached += positions

    def advance(self, accepted: Tensor, proposal: Tensor) -> list[Event]:
        """Take a denoising step's result; returns what became final, and ``Finish`` when nothing is left to do."""
        self.canvas.accept(accepted, proposal)
        if self.request.template is not None:
            self._close_holes()
        events: list[Event] = [*self._draft(), *self._commit()]
        reason = self._finish_reason()
        if reason is not None:
            events.append(Finish(self.request.id, reason, self.usage))
        elif self.canvas.is_settled:
            self._open_next()
        return events

    def _draft(self) -> list[Event]:
        canvas = self.canvas
        if not self.request.drafts:
            return []
        hidden = max(0, len(self.request.prompt) - canvas.start)
        start = canvas.start + hidden - len(self.request.prompt)
        tokens = tuple(canvas.tokens[hidden:].tolist())
        return [Draft(self.request.id, canvas.index, canvas.step, start, tokens, canvas.masked_len)]

    def _commit(self) -> list[Event]:
        """The answer's tokens that joined the clean prefix in this step, up to an end-of-sequence token."""
        canvas, prompt = self.canvas, len(self.request.prompt)
        begin = max(prompt + self.told, canvas.start)
        fresh: list[int] = canvas.tokens[begin - canvas.start : canvas.clean_prefix].tolist()
        if self.request.template is None:
            fresh = fresh[: self._until_eos(fresh)]
        if not fresh:
            return []
        self._tell(fresh)
        return [Commit(self.request.id, canvas.index, canvas.step, begin - prompt, tuple(fresh), self.usage)]

    def _tell(self, fresh: list[int]) -> None:
        template, start = self.request.template, self.told
        self.told += len(fresh)
        written = len(fresh)
        if template is not None:
            ends = self.spec.eos_token_ids
            written = sum(template[start + i] is None and token not in ends for i, token in enumerate(fresh))
        self.usage = replace(self.usage, completion_tokens=self.usage.completion_tokens + written)

    def _until_eos(self, tokens: list[int]) -> int:
        return next((i for i, token in enumerate(tokens) if token in self.spec.eos_token_ids), len(tokens))

    def _finish_reason(self) -> FinishReason | None:
        canvas = self.canvas
        if self.request.template is not None:
            return "stop" if canvas.is_settled else None
        begin = max(0, len(self.request.prompt) - canvas.start)
        clean: list[int] = canvas.tokens[begin : canvas.clean_prefix].tolist()
        if self._until_eos(clean) < len(clean):
            return "stop"
        return "length" if canvas.is_settled and canvas.end == total_length(self.request) else None

    def _close_holes(self) -> None:
        """Fill a hole's remaining masks with end-of-sequence once the hole's clean beginning holds one.

        Everything after that token is cut from the hole's text, so denoising it would be wasted.
        """
        canvas, template = self.canvas, self.request.template or ()
        offset = len(self.request.prompt) - canvas.start
        for hole in hole_spans(template):
            span = slice(offset + hole.start, offset + hole.stop)
            tokens, masked = canvas.tokens[span], canvas.masked[span]
            clean: list[int] = tokens[: int(masked.int().argmax())].tolist() if bool(masked.any()) else []
            if self._until_eos(clean) < len(clean):
                canvas.tokens[span] = torch.where(masked, self.spec.eos_token_ids[0], tokens)
                canvas.masked[span] = False

    def _open_next(self) -> None:
        canvas = self.canvas
        self.tokens = torch.cat((self.tokens, canvas.tokens))
        self.canvas = open_canvas(self.request, self.spec, canvas.index + 1, canvas.end, canvas.tokens.device)
        self.usage = replace(self.usage, canvases=self.usage.canvases + 1)


def cache_positions(request: Request, spec: ModelSpec) -> int:
    """Positions whose keys and values the request will ever need: all before its last canvas."""
    return last_start(request, spec)


def hole_spans(template: tuple[int | None, ...]) -> list[range]:
    """Runs of holes; holes that touch count as one."""
    edges = [i for i in range(len(template) + 1) if _is_hole(template, i) != _is_hole(template, i - 1)]
    return [range(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _is_hole(template: tuple[int | None, ...], index: int) -> bool:
    return 0 <= index < len(template) and template[index] is None
