"""What a rule sees of the canvases of one step, and how it ranks their positions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Scores:
    """Per position ``[canvases, longest]``; shorter canvases are padded with positions that are not masked.

    ``masked`` says which positions may be accepted, ``changed`` which settled ones may be edited and would get
    another token. ``confidence``, ``margin``, ``gap`` and ``entropy`` are as in ``Statistics``, ``order`` is uniform
    noise and ``ends`` marks proposals that end the sequence. ``agreed`` ones are what the request predicts.
    """

    masked: Tensor
    confidence: Tensor
    margin: Tensor
    gap: Tensor
    entropy: Tensor
    order: Tensor
    ends: Tensor
    changed: Tensor
    agreed: Tensor


@dataclass(frozen=True, slots=True)
class Bounds:
    """Per canvas ``[canvases]``: the request's parameters and what the schedule says of this step.

    ``strict``: a confidence equal to the threshold does not reach it. ``entropy_exit`` is minus infinity and
    ``gap_exit`` infinity where not asked for; ``progress`` is the share of the canvas's steps or masks that is done.
    ``probability`` is that of lifting a mask in ancestral order. ``forced`` is false only for a pipelined canvas
    that need not accept anything.
    """

    quota: Tensor
    threshold: Tensor
    strict: Tensor
    editing_threshold: Tensor
    factor: Tensor
    entropy_bound: Tensor
    entropy_exit: Tensor
    gap_exit: Tensor
    progress: Tensor
    leftmost_eos: Tensor
    probability: Tensor
    forced: Tensor


def ranks(score: Tensor, masked: Tensor) -> Tensor:
    """The place of every position in the order of falling score, from 0; equals go left to right.

    Positions that are not masked come last.
    """
    order = score.masked_fill(~masked, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    return order.argsort(dim=-1)


def best(score: Tensor, masked: Tensor, count: Tensor) -> Tensor:
    """The ``count [canvases]`` masked positions of highest score; ties go to the leftmost."""
    return masked & (ranks(score, masked) < count[:, None])


def mean_where(values: Tensor, where: Tensor) -> Tensor:
    """The mean ``[canvases]`` of ``values`` over the positions of ``where``; 0 where there are none.

    Added from left to right, so that padding does not change the rounding.
    """
    return values.masked_fill(~where, 0.0).cumsum(-1)[:, -1] / where.sum(-1).clamp(min=1)
