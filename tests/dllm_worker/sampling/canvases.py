"""Scores and bounds of a few canvases, where only what a test is about has to be said."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from dllm_worker.sampling.scores import Bounds, Scores

DEFAULTS: dict[str, Any] = {
    "quota": 1,
    "threshold": 0.9,
    "strict": False,
    "editing_threshold": 0.9,
    "factor": 1.0,
    "entropy_bound": 0.1,
    "entropy_exit": -math.inf,
    "gap_exit": math.inf,
    "progress": 0.0,
    "leftmost_eos": False,
    "probability": 0.0,
    "forced": True,
}


def scores(probabilities: list[float], masked: list[bool] | None = None, **others: list[float] | list[bool]) -> Scores:
    """One canvas, all masked unless said otherwise; a position's entropy is that of a coin with its probability."""
    p = torch.tensor([probabilities])
    hidden = torch.tensor([[True] * len(probabilities) if masked is None else masked])
    nowhere = torch.zeros_like(hidden)
    plain = Scores(
        masked=hidden,
        confidence=p,
        margin=p,
        gap=torch.zeros_like(p),
        entropy=torch.special.entr(p) + torch.special.entr(1 - p),
        order=p,
        ends=nowhere,
        changed=nowhere,
        agreed=nowhere,
    )
    return replace(plain, **{name: torch.tensor([values]) for name, values in others.items()})


def bounds(**changes: float) -> Bounds:
    """Of one canvas."""
    return Bounds(**{name: torch.tensor([value]) for name, value in (DEFAULTS | changes).items()})


def together(parts: list[Scores]) -> Scores:
    """Canvases in one batch, the shorter ones padded as the engine pads them."""
    columns = ([getattr(part, field.name)[0] for part in parts] for field in fields(Scores))
    return Scores(*(pad_sequence(column, batch_first=True) for column in columns))


def side_by_side(parts: list[Bounds]) -> Bounds:
    return Bounds(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Bounds)))


def picked(accepted: Tensor) -> list[int]:
    """The positions of the first canvas."""
    return accepted[0].nonzero().flatten().tolist()
