"""Distributions over the vocabulary, one a row, with as few passes over them as their statistics need."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

EXCLUDED = -1e30
"""The logit of what is never proposed: its probability is 0 and, unlike that of minus infinity, its p log p too."""

NUCLEUS_WIDTH = 1024
"""How many of the best tokens are ranked before all are; nearly every nucleus lies among them."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """``logits [rows, vocab]`` are less their row's largest one, so the best token has 0. Vectors are ``[rows]``.

    ``mass`` is the sum of their exponentials, ``best`` the most probable token (of equals the lowest id), ``gap`` the
    distance of its logit to the next one and ``entropy`` in nats.
    """

    logits: Tensor
    mass: Tensor
    best: Tensor
    gap: Tensor
    entropy: Tensor

    @staticmethod
    def of(logits: Tensor) -> Distribution:
        """The distribution of fp32 ``logits``, whose memory it takes over."""
        top, best = logits.max(-1)
        at_best = best[:, None]
        second = logits.scatter_(1, at_best, EXCLUDED).amax(-1)
        shifted = logits.scatter_(1, at_best, top[:, None]).sub_(top[:, None])
        weights = shifted.exp()
        mass = row_sums(weights)
        entropy = mass.log() - row_sums(weights.mul_(shifted)) / mass
        return Distribution(shifted, mass, best, top - second, entropy)

    @property
    def margin(self) -> Tensor:
        """The best token's probability less the runner-up's."""
        return -torch.expm1(-self.gap) / self.mass

    def probability(self, tokens: Tensor) -> Tensor:
        """Of one token ``[rows]`` a row."""
        return self.logits.gather(1, tokens[:, None]).flatten().exp() / self.mass


def row_sums(values: Tensor) -> Tensor:
    """Sums ``[rows]`` over the last dimension that do not depend on the number of rows.

    torch divides the sum of a lone long row among its threads, which rounds otherwise than the sum of one of many.
    """
    return values.expand(2, -1).sum(-1)[:1] if values.shape[0] == 1 else values.sum(-1)


def tempered(logits: Tensor, temperature: Tensor) -> Tensor:
    """``logits`` over ``temperature [rows]``, with what was excluded still finite."""
    return (logits / temperature[:, None]).clamp_(min=EXCLUDED)


def keep_top(logits: Tensor, top_k: Tensor, top_p: Tensor, nucleus_first: Tensor) -> Tensor:
    """Exclude what lies outside the ``top_k`` best, and then outside the nucleus of mass ``top_p`` among those.

    ``logits [rows, vocab]`` are less their row's largest one, the others are ``[rows]``. Where ``nucleus_first``
    (bool) holds, the nucleus is that of all tokens.
    The nucleus is the best tokens up to the one with which their mass passes ``top_p``; the best token always stays.
    Tokens as probable as the last one that stays do too, so the outcome does not depend on how equals are ordered.
    """
    filtered = ((top_p < 1) | (top_k > 0)).nonzero().flatten()
    if not filtered.numel():
        return logits
    lowest = torch.full_like(top_p, EXCLUDED, dtype=logits.dtype)
    chosen = (top_k[filtered], top_p[filtered], nucleus_first[filtered])
    lowest[filtered] = _lowest_kept(logits[filtered], *chosen)
    return logits.masked_fill(logits < lowest[:, None], EXCLUDED)


def _lowest_kept(logits: Tensor, top_k: Tensor, top_p: Tensor, nucleus_first: Tensor) -> Tensor:
    """The least logit ``[rows]`` that stays. Rows are sorted whole only where what stays may be wider than usual."""
    total = row_sums(logits.exp())
    ranked = logits.topk(min(NUCLEUS_WIDTH, logits.shape[1]), dim=-1).values
    covered = torch.where(top_k > 0, top_k <= ranked.shape[1], row_sums(ranked.exp()) > top_p * total)
    rank = _last_kept(ranked, total, top_k, top_p, nucleus_first)
    lowest = ranked.gather(1, rank[:, None]).flatten()
    wide = (~covered).nonzero().flatten()
    if wide.numel():
        every = logits[wide].sort(dim=-1, descending=True).values
        rank = _last_kept(every, total[wide], top_k[wide], top_p[wide], nucleus_first[wide])
        lowest[wide] = every.gather(1, rank[:, None]).flatten()
    return lowest


def _last_kept(ranked: Tensor, total: Tensor, top_k: Tensor, top_p: Tensor, nucleus_first: Tensor) -> Tensor:
    """The rank ``[rows]`` of the last token that stays, of logits in descending order."""
    rank = torch.arange(ranked.shape[1], device=ranked.device)
    within = (top_k[:, None] == 0) | (rank < top_k[:, None])
    weights = ranked.exp() * within
    mass = torch.where((top_k > 0) & ~nucleus_first, row_sums(weights), total)
    before = functional.pad(weights.cumsum(-1)[:, :-1], (1, 0))
    nucleus = (top_p[:, None] >= 1) | (before <= (top_p * mass)[:, None])
    return (within & nucleus).sum(-1).clamp(min=1) - 1
