"""Uniform-state diffusion: what is not accepted becomes a random token, and nothing is final before the canvas ends.

The sampler of DiffusionGemma (transformers 5): acceptance is decided anew in each step, and the answer is the canvas
of most probable tokens of the step with which it stops.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dllm_worker.sampling.rules import accumulated


def renoise(candidate: Tensor, entropy: Tensor, random_tokens: Tensor, entropy_bound: Tensor) -> tuple[Tensor, Tensor]:
    """``(tokens, accepted)`` of the next step, both ``[canvases, longest]``.

    The candidates of lowest entropy are accepted while the entropies before them sum to at most
    ``entropy_bound [canvases]``, so always one. Padding of entropy 0 changes nothing for the others.
    """
    before = accumulated(entropy, torch.ones_like(candidate, dtype=torch.bool), own=False)
    accepted = before <= entropy_bound[:, None]
    return torch.where(accepted, candidate, random_tokens), accepted


def stable_and_confident(unchanged: Tensor, mean_entropy: Tensor, stability: Tensor, entropy_exit: Tensor) -> Tensor:
    """Which canvases are done, bool ``[canvases]`` as are all vectors here.

    ``unchanged`` counts the steps in a row, this one included, whose most probable tokens are those of the step
    before; the first step of a canvas has none before it. ``stability`` of them are needed, and a mean entropy over
    the whole canvas below ``entropy_exit``.
    """
    return (unchanged >= stability) & (mean_entropy < entropy_exit)
