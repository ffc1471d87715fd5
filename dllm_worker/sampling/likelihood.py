"""Log-probabilities of what was proposed, and of the best tokens in its place, for the rows that ask for them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from dllm_worker.sampling.distribution import EXCLUDED, Distribution

NO_TOKEN = -1
_POSITIVE = 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Natural logarithms of the model's own probabilities: fp32, before temperature, top-k and top-p.

    ``proposal`` and ``best`` ``[rows]`` are those of these tokens; ``tokens`` int64 and ``values`` ``[rows, width]``
    are the alternatives, the best first and of equals the lowest id. ``NO_TOKEN`` stands where the model may propose
    no more. Rows that do not ask are zero.
    """

    proposal: Tensor
    best: Tensor
    tokens: Tensor
    values: Tensor

    @staticmethod
    def of(own: Distribution, proposal: Tensor, asked: Tensor, width: int) -> Likelihoods:
        """Those of the rows that are ``asked`` for, bool ``[rows]``."""
        rows = asked.nonzero().flatten()
        logits, mass = own.logits[rows], own.mass[rows].log()
        tokens = _best_tokens(logits, min(width, logits.shape[1]))
        values = logits.gather(1, tokens)
        of_proposal = logits.gather(1, proposal[rows, None]).flatten() - mass
        found = (of_proposal, -mass, tokens.masked_fill(values <= EXCLUDED / 2, NO_TOKEN), values - mass[:, None])
        return Likelihoods(
            *(column.new_zeros(len(asked), *column.shape[1:]).index_copy_(0, rows, column) for column in found)
        )

    def split(self, lengths: list[int]) -> list[Likelihoods]:
        """These in consecutive pieces."""
        pieces = [torch.split(column, lengths) for column in self._columns()]
        return [Likelihoods(*piece) for piece in zip(*pieces, strict=True)]

    def cpu(self) -> Likelihoods:
        return Likelihoods(*(column.cpu() for column in self._columns()))

    @staticmethod
    def concatenate(parts: list[Likelihoods]) -> Likelihoods:
        columns = zip(*(part._columns() for part in parts), strict=True)
        return Likelihoods(*(torch.cat(column) for column in columns))

    def _columns(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


def _best_tokens(logits: Tensor, count: int) -> Tensor:
    """The ids int64 ``[rows, count]`` of the largest fp32 ``logits``.

    Logit and id are ranked as one number, so the order of equals depends neither on ``count`` nor on the device.
    """
    if not count:
        return torch.empty((len(logits), 0), dtype=torch.int64, device=logits.device)
    bits = logits.view(torch.int32)
    ascending = torch.where(bits < 0, bits ^ _POSITIVE, bits).long()
    last = logits.shape[1] - 1
    ranked = (ascending << 32) + torch.arange(last, -1, -1, device=logits.device)
    return last - (ranked.topk(count, dim=-1).values & 0xFFFFFFFF)
