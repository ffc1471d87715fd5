"""A canvas: the window of positions being denoised now."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_worker.request import Request
from dllm_worker.spec import ModelSpec


@dataclass(slots=True)
class Canvas:
    """Tokens int64 and masked bool ``[length]`` on the CPU or the model's device.

    Positions that are not masked are frozen: pinned by the request or accepted in an earlier step. ``start`` is the
    absolute position of the first one and ``opened`` the number of masks at step 0.
    """

    index: int
    start: int
    tokens: Tensor
    masked: Tensor
    opened: int
    step: int = 0

    @property
    def length(self) -> int:
        return self.tokens.shape[0]

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def masked_len(self) -> int:
        return int(self.masked.sum())

    @property
    def is_settled(self) -> bool:
        return not bool(self.masked.any())

    @property
    def clean_prefix(self) -> int:
        """Positions before the first mask: all of them are final."""
        return self.length if self.is_settled else int(self.masked.int().argmax())

    def accept(self, accepted: Tensor, proposal: Tensor) -> None:
        """Give the ``accepted`` positions their proposed tokens. Only masked positions change."""
        self.tokens = torch.where(accepted, proposal, self.tokens)
        self.masked = self.masked & ~accepted
        self.step += 1

    def max_steps(self, request: Request) -> int:
        """The step bound; without one of the request's own it is the number of masks, one accepted in each."""
        return min(request.sampling.max_steps or self.opened, max(1, self.opened))


def total_length(request: Request) -> int:
    """Positions of prompt and answer together."""
    answer = request.max_tokens if request.template is None else len(request.template)
    return len(request.prompt) + answer


def grid_length(request: Request, spec: ModelSpec) -> int:
    """Positions of a whole canvas of this request."""
    return request.canvas_length or spec.canvas_length


def first_start(request: Request, spec: ModelSpec) -> int:
    """Where the first canvas begins. What precedes it is context, encoded before the first step.

    Bidirectional models have no context that could be encoded on its own, so the prompt joins the canvas.
    """
    if spec.context_attention == "bidirectional":
        return 0
    prompt = len(request.prompt)
    return prompt if spec.canvas_anchor == "prompt" else prompt - prompt % grid_length(request, spec)


def last_start(request: Request, spec: ModelSpec) -> int:
    """Where the last canvas begins: positions before it are cached at some time, later ones never."""
    start, total = first_start(request, spec), total_length(request)
    if request.template is not None or spec.context_attention == "bidirectional":
        return start
    return start + max(0, total - 1 - start) // grid_length(request, spec) * grid_length(request, spec)


def open_canvas(request: Request, spec: ModelSpec, index: int, start: int, device: torch.device) -> Canvas:
    """The canvas at ``start``: the prompt's tail and the template's text pinned, everything else masked."""
    prompt, total = len(request.prompt), total_length(request)
    whole = start == last_start(request, spec)
    end = total if whole else start + grid_length(request, spec)
    pinned: list[int | None] = list(request.prompt[start:end])
    answer: tuple[int | None, ...] = request.template or ()
    pinned += answer[max(0, start - prompt) : end - prompt] if answer else []
    pinned += [None] * (end - start - len(pinned))
    masked = torch.tensor([token is None for token in pinned], device=device)
    tokens = torch.tensor([spec.mask_token_id if token is None else token for token in pinned], device=device)
    return Canvas(index, start, tokens, masked, opened=int(masked.sum()))
