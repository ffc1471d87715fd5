"""What a network is fed: the packed rows of one forward pass."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What a self-conditioned network takes besides the tokens.

    ``denoised`` is bool ``[rows]``: whether a row belongs to a canvas and not to the context that is encoded.
    ``soft`` is ``[rows, hidden]``: the mean input embedding under the previous step's distribution, unscaled, zero
    in the first step of a canvas and outside canvases.
    """

    denoised: Tensor
    soft: Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """``token_ids`` and ``positions`` are int64 ``[rows]``; ``conditioning`` only where the model takes it."""

    token_ids: Tensor
    positions: Tensor
    conditioning: Conditioning | None = None
