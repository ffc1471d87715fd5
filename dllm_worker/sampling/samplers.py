"""Named decoding algorithms: pure functions from statistics to the positions that are accepted in this step.

Everything here is vectorised over canvases: tensors are ``[canvases, length]`` and shorter canvases are padded with
positions that are not masked. A rule only ever picks masked positions and always at least one of a canvas that has
any; what a rule picks beyond its own criterion (the quota, the last step) is what bounds the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dllm_worker.request import Algorithm


@dataclass(frozen=True, slots=True)
class Scores:
    """Per position ``[canvases, length]``: what a rule may rank by. ``order`` is uniform noise.

    ``ends`` marks positions whose proposal ends the sequence.
    """

    masked: Tensor
    confidence: Tensor
    entropy: Tensor
    order: Tensor
    ends: Tensor


@dataclass(frozen=True, slots=True)
class Bounds:
    """Per canvas ``[canvases]``: the request's parameters and the quota of this step."""

    quota: Tensor
    threshold: Tensor
    entropy_bound: Tensor
    entropy_exit: Tensor
    leftmost_eos: Tensor


Rule = Callable[[Scores, Bounds], Tensor]
"""``(scores, bounds) -> bool [canvases, length]``: the positions that get their proposal in this step."""


def best(score: Tensor, masked: Tensor, count: Tensor) -> Tensor:
    """The ``count [canvases]`` masked positions of highest score; ties go to the leftmost."""
    order = score.masked_fill(~masked, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    return masked & (order.argsort(dim=-1) < count[:, None])


def low_confidence(scores: Scores, bounds: Bounds) -> Tensor:
    """The quota's most confident positions; the others are remasked (LLaDA, arXiv 2502.09992)."""
    return best(scores.confidence, scores.masked, bounds.quota)


def random(scores: Scores, bounds: Bounds) -> Tensor:
    """The quota's positions in random order: the ancestral order of masked diffusion (MDLM, arXiv 2406.07524)."""
    return best(scores.order, scores.masked, bounds.quota)


def confidence_threshold(scores: Scores, bounds: Bounds) -> Tensor:
    """Every position at least as confident as the threshold, and the quota (Fast-dLLM, arXiv 2505.22618)."""
    above = scores.masked & (scores.confidence >= bounds.threshold[:, None])
    return above | low_confidence(scores, bounds)


def entropy_bound(scores: Scores, bounds: Bounds) -> Tensor:
    """The least uncertain positions while the entropies before them sum to at most the bound, and the quota.

    The bound limits the joint dependence that is ignored by accepting them together (EB-Sampler, arXiv 2505.24857).
    """
    entropy = scores.entropy.masked_fill(~scores.masked, torch.inf)
    ordered, order = entropy.sort(dim=-1, stable=True)
    before = ordered.cumsum(-1).roll(1, dims=-1)
    before[:, 0] = 0.0
    within = (before <= bounds.entropy_bound[:, None]).gather(1, order.argsort(dim=-1))
    return scores.masked & (within | best(-scores.entropy, scores.masked, bounds.quota))


SAMPLERS: Mapping[Algorithm, Rule] = {
    "low_confidence": low_confidence,
    "random": random,
    "confidence_threshold": confidence_threshold,
    "entropy_bound": entropy_bound,
}


def settled(scores: Scores, bounds: Bounds) -> Tensor:
    """Canvases ``[canvases]`` whose mean entropy over the masked positions lies below their ``entropy_exit``."""
    count = scores.masked.sum(-1)
    mean = scores.entropy.masked_fill(~scores.masked, 0.0).sum(-1) / count.clamp(min=1)
    return (mean < bounds.entropy_exit) & (count > 0)


def held_back(scores: Scores, bounds: Bounds) -> Tensor:
    """Proposed ends of the sequence that have masked positions before them, where the request wants them leftmost.

    A model that pads with end-of-sequence is surest of it where it knows least, far to the right, and would cut its
    answers short. The step that has to accept everything holds nothing back.
    """
    earlier = scores.masked.int().cumsum(-1) - scores.masked.int()
    asked = bounds.leftmost_eos & (bounds.quota < scores.masked.sum(-1))
    return scores.ends & (earlier > 0) & asked[:, None]


def accept(algorithms: list[Algorithm], scores: Scores, bounds: Bounds) -> Tensor:
    """Run each canvas's own algorithm, then the early exit that accepts all that is left of a settled canvas."""
    accepted = torch.zeros_like(scores.masked)
    free = replace(scores, masked=scores.masked & ~held_back(scores, bounds))
    for name in dict.fromkeys(algorithms):
        own = torch.tensor([algorithm == name for algorithm in algorithms], device=accepted.device)
        accepted |= SAMPLERS[name](free, bounds) & own[:, None]
    return accepted | (scores.masked & settled(scores, bounds)[:, None])
