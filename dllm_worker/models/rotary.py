"""Rotary position embeddings (RoPE, arXiv 2104.09864) and the variants of it that published checkpoints use."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_worker.models.specs.yarn import Yarn


@dataclass(frozen=True, slots=True)
class Rotation:
    """What turns the queries and keys of packed rows: ``cosine`` and ``sine``, ``[rows, width / 2]``.

    Queries are multiplied by ``query_scale``, ``[rows]``, besides. All are computed in fp32.
    """

    cosine: Tensor
    sine: Tensor
    query_scale: Tensor | None = None

    def to(self, dtype: torch.dtype) -> Rotation:
        """Rounded to the dtype of the rows, once for all layers."""
        scale = None if self.query_scale is None else self.query_scale.to(dtype)
        return Rotation(self.cosine.to(dtype), self.sine.to(dtype), scale)

    def turn(self, x: Tensor) -> Tensor:
        """``x [rows, heads, dim]``, its first ``width`` dimensions turned, their halves against each other."""
        half, cosine, sine = self.cosine.shape[-1], self.cosine[:, None], self.sine[:, None]
        halves = x[..., : 2 * half].view(*x.shape[:-1], 2, half)
        turned = halves * cosine[:, None]
        turned[:, :, 0].addcmul_(halves[:, :, 1], sine, value=-1)
        turned[:, :, 1].addcmul_(halves[:, :, 0], sine)
        return (
            torch.cat((turned.flatten(-2), x[..., 2 * half :]), dim=-1)
            if 2 * half < x.shape[-1]
            else turned.flatten(-2)
        )

    def turn_query(self, query: Tensor) -> Tensor:
        """``query [rows, heads, dim]``, turned and scaled."""
        turned = self.turn(query)
        return turned if self.query_scale is None else turned * self.query_scale[:, None, None]


@dataclass(frozen=True, slots=True)
class Rotary:
    """RoPE over the first ``width`` dimensions of a head."""

    width: int
    theta: float

    def frequencies(self, device: torch.device) -> Tensor:
        """Radians a position, fp32 ``[width / 2]``."""
        exponents = torch.arange(0, self.width, 2, dtype=torch.float32, device=device) / self.width
        return self.theta**-exponents

    def rotation(self, positions: Tensor) -> Rotation:
        """How rows at ``positions``, int64 ``[rows]``, are turned."""
        angles = positions[:, None].float() * self.frequencies(positions.device)
        return Rotation(angles.cos(), angles.sin())


@dataclass(frozen=True, slots=True)
class ProportionalRotary(Rotary):
    """RoPE whose first ``turned`` pairs of dimensions turn as in a full head, while the others stand still."""

    turned: int

    def frequencies(self, device: torch.device) -> Tensor:
        pairs = torch.arange(self.width // 2, device=device)
        return torch.where(pairs < self.turned, Rotary.frequencies(self, device), 0.0)


@dataclass(frozen=True, slots=True)
class YarnRotary(Rotary):
    """YaRN (arXiv 2309.00071): fast pairs turn as they were trained, slow ones by ``factor`` more slowly.

    Between the two, which are told apart by the turns that they make in the original context, the speed is blended.
    Queries far out are lengthened as in Llama 4.
    """

    yarn: Yarn

    def frequencies(self, device: torch.device) -> Tensor:
        trained = Rotary.frequencies(self, device)
        low = max(math.floor(self._pair_with(self.yarn.beta_fast)), 0)
        high = min(math.ceil(self._pair_with(self.yarn.beta_slow)), self.width - 1)
        pairs = torch.arange(self.width // 2, dtype=torch.float32, device=device)
        slowed = ((pairs - low) / max(high - low, 0.001)).clamp(0, 1)
        return trained / self.yarn.factor * slowed + trained * (1 - slowed)

    def rotation(self, positions: Tensor) -> Rotation:
        turned, yarn = Rotary.rotation(self, positions), self.yarn
        contexts = torch.floor(positions / yarn.original_positions)
        query_scale = 1 + yarn.query_beta * torch.log(1 + contexts)
        return Rotation(turned.cosine * yarn.attention_scaling, turned.sine * yarn.attention_scaling, query_scale)

    def _pair_with(self, turns: float) -> float:
        """The pair of dimensions, as a fraction, that makes ``turns`` in the original context."""
        wavelength = self.yarn.original_positions / (turns * 2 * math.pi)
        return self.width * math.log(wavelength) / (2 * math.log(self.theta))
