"""From hidden rows to logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dllm_worker.shapes import in_tiles


@dataclass(frozen=True, slots=True)
class Head:
    """``weight`` is ``[vocab, hidden]``; with ``cap`` logits are bent to ``cap * tanh(logits / cap)``.

    Products have ``tile`` rows each, where that is given.
    """

    weight: Tensor
    cap: float | None = None
    tile: int | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """``[rows, vocab]``, fp32, of ``hidden [rows, width]``."""
        raw = self.product(lambda rows: functional.linear(rows, self.weight), hidden).float()
        return raw if self.cap is None else self.cap * torch.tanh(raw / self.cap)

    def product(self, product: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """``product`` of ``rows``, in tiles where the head works in tiles."""
        return product(rows) if self.tile is None else in_tiles(product, rows, self.tile)
