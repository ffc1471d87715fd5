"""The random choices of a reference run, made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from dllm_worker.golden.record import GoldenError, Record
from dllm_worker.noise import NoiseKeys

Value = TypeVar("Value", int, float)
Key = tuple[int, int, int, int]
"""Seed, canvas, step and position, as in :class:`dllm_worker.noise.NoiseKeys`."""


@dataclass(frozen=True, slots=True)
class RecordedDraws:
    """Draws by key. ``uniforms`` choose tokens through the inverse of the distribution; ``None`` chooses the best.

    ``order`` are the uniforms that rank positions or lift masks, ``fresh`` the random tokens. A draw that the
    reference did not make raises :class:`GoldenError`.
    """

    uniforms: Mapping[Key, float] | None = None
    orders: Mapping[Key, float] = field(default_factory=dict)
    fresh: Mapping[Key, int] = field(default_factory=dict)

    def choose(self, logits: Tensor, keys: NoiseKeys) -> Tensor:
        if self.uniforms is None:
            return logits.argmax(-1)
        uniforms = torch.tensor(_all(self.uniforms, keys, "uniform"), dtype=torch.float64)
        return inverse_cdf(logits, uniforms)

    def order(self, keys: NoiseKeys) -> Tensor:
        return torch.tensor(_all(self.orders, keys, "order"))

    def tokens(self, keys: NoiseKeys, vocab_size: int) -> Tensor:
        drawn = _all(self.fresh, keys, "random token")
        outside = next((token for token in drawn if not 0 <= token < vocab_size), None)
        if outside is not None:
            raise GoldenError(f"the random token {outside} is outside the vocabulary of {vocab_size}")
        return torch.tensor(drawn)


def inverse_cdf(logits: Tensor, uniforms: Tensor) -> Tensor:
    """The number of tokens whose cumulative probability, in fp64, is at most the uniform; int64 ``[rows]``."""
    cumulative = logits.float().softmax(-1).double().cumsum(-1)
    return (cumulative / cumulative[:, -1:] <= uniforms[:, None]).sum(-1).clamp(max=logits.shape[1] - 1)


def chooses_by_uniforms(parameters: Record) -> bool:
    """What ``token_choice`` says; without it, or with argmax, the most probable token of the distribution is taken."""
    choice = parameters.text("token_choice") if parameters.given("token_choice") else "argmax"
    if choice in ("argmax", "argmax (in place of multinomial)"):
        return False
    if choice == "inverse_cdf(uniforms)":
        return True
    raise parameters.refuse("token_choice", "only argmax and inverse_cdf(uniforms) are known")


def keyed(values: Mapping[int, Value], canvas: int, step: int, seed: int = 0) -> dict[Key, Value]:
    """``values`` by position as the draws of one step."""
    return {(seed, canvas, step, position): value for position, value in values.items()}


def _all(draws: Mapping[Key, Value], keys: NoiseKeys, name: str) -> list[Value]:
    columns = (keys.seeds, keys.canvases, keys.steps, keys.positions)
    found = []
    for key in zip(*(column.tolist() for column in columns), strict=True):
        if key not in draws:
            row, canvas, step, position = key
            raise GoldenError(
                f"the engine asks for a {name} that was not recorded: row {row}, canvas {canvas}, step {step}, "
                f"position {position}"
            )
        found.append(draws[key])
    return found
