"""The tokens of a request so far: prompt, committed text and open canvases, end to end."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_worker.request import Request


@dataclass(slots=True)
class Sequence:
    """``tokens`` int64 and ``masked`` bool ``[length]``, on the CPU.

    Positions that are not masked are settled: pinned by the request or accepted in an earlier step.
    """

    tokens: Tensor
    masked: Tensor

    @property
    def length(self) -> int:
        return self.tokens.shape[0]

    def is_settled(self, start: int, end: int) -> bool:
        """Whether no position of ``start:end`` is masked."""
        return not bool(self.masked[start:end].any())

    def masks(self, start: int, end: int) -> int:
        """Masked positions in ``start:end``."""
        return int(self.masked[start:end].sum())

    def first_mask(self, start: int, end: int) -> int:
        """The first masked position of ``start:end``, or ``end``."""
        masked = self.masked[start:end]
        return start + int(masked.int().argmax()) if bool(masked.any()) else end

    def accept(self, start: int, accepted: Tensor, proposal: Tensor) -> None:
        """Give the ``accepted`` positions from ``start`` on their proposed tokens; they are masked no longer."""
        span = slice(start, start + accepted.shape[0])
        self.tokens[span] = torch.where(accepted, proposal, self.tokens[span])
        self.masked[span] &= ~accepted

    def mask(self, start: int, masked: Tensor, fill: int) -> None:
        """Mask the ``masked`` positions from ``start`` on again; they hold ``fill``."""
        span = slice(start, start + masked.shape[0])
        self.tokens[span] = self.tokens[span].masked_fill(masked, fill)
        self.masked[span] |= masked

    def extend(self, tokens: Tensor, masked: Tensor) -> None:
        """Add positions at the end."""
        self.tokens = torch.cat((self.tokens, tokens))
        self.masked = torch.cat((self.masked, masked))

    def cut(self, length: int) -> None:
        """Forget the positions from ``length`` on."""
        self.tokens, self.masked = self.tokens[:length].clone(), self.masked[:length].clone()


def pinned(request: Request, start: int, end: int) -> list[int | None]:
    """What the request says of the positions ``start:end``: a token, or ``None`` where one is to be found."""
    prompt, template = len(request.prompt), request.template or ()
    known: list[int | None] = list(request.prompt[start:end])
    known += template[max(0, start - prompt) : max(0, end - prompt)]
    return known + [None] * (end - start - len(known))


def masked_span(request: Request, start: int, end: int, fill: int) -> tuple[Tensor, Tensor]:
    """Tokens and masks of fresh positions ``start:end``; a masked one holds ``fill``."""
    known = pinned(request, start, end)
    tokens = torch.tensor([fill if token is None else token for token in known], dtype=torch.int64)
    return tokens, torch.tensor([token is None for token in known], dtype=torch.bool)
