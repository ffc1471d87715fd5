"""Rules of acceptance: pure functions from the scores of masked positions to those that get their proposal now.

Each is vectorised over canvases and picks masked positions only. What a rule picks beyond its own criterion, the
quota, is what bounds the number of steps; a rule with a criterion of its own accepts the best position even where
the quota is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from dllm_worker.sampling.scores import Bounds, Scores, best, ranks

Rule = Callable[[Scores, Bounds], Tensor]
"""``(scores, bounds) -> bool [canvases, longest]``: the positions that get their proposal in this step."""


def most_confident(scores: Scores, bounds: Bounds) -> Tensor:
    """The quota's most confident positions; the others are remasked (LLaDA, arXiv 2502.09992; MaskGIT, 2202.04200)."""
    return best(scores.confidence, scores.masked, bounds.quota)


def least_uncertain(scores: Scores, bounds: Bounds) -> Tensor:
    """The quota's positions of lowest entropy (Dream 7B, arXiv 2508.15487)."""
    return best(-scores.entropy, scores.masked, bounds.quota)


def widest_margin(scores: Scores, bounds: Bounds) -> Tensor:
    """The quota's positions where the best token leads the runner-up most (top-k margin, arXiv 2502.06768)."""
    return best(scores.margin, scores.masked, bounds.quota)


def shuffled(scores: Scores, bounds: Bounds) -> Tensor:
    """The quota's positions in random order (LLaDA's random remasking)."""
    return best(scores.order, scores.masked, bounds.quota)


def bernoulli(scores: Scores, bounds: Bounds) -> Tensor:
    """Every position by its own coin, and possibly none: the ancestral sampler (MDLM, arXiv 2406.07524)."""
    return scores.masked & (scores.order < bounds.probability[:, None])


def first(scores: Scores, bounds: Bounds) -> Tensor:
    """The quota's leftmost positions (SDAR's sequential order, arXiv 2510.06303)."""
    return scores.masked & (scores.masked.cumsum(-1) <= bounds.quota[:, None])


def everything(scores: Scores, bounds: Bounds) -> Tensor:
    """Every masked position."""
    return scores.masked


def above_threshold(scores: Scores, bounds: Bounds) -> Tensor:
    """Every position that reaches the threshold, and the quota's best.

    This is Fast-dLLM's rule (arXiv 2505.22618), which knows no quota above one, and that of SDAR and LLaDA2
    (arXiv 2512.15745), which takes the quota's best where fewer reach the threshold: the quota's best are among those
    that reach it wherever these are more.
    """
    return reaching(scores, bounds) | best(scores.confidence, scores.masked, bounds.quota.clamp(min=1))


def capped_threshold(scores: Scores, bounds: Bounds) -> Tensor:
    """Of the quota's best those that reach the threshold, and the best one (Fast-dLLM's Dream without blocks).

    What is held back is owed in the next step. So the steps may run over their bound, though never beyond one step
    a mask.
    """
    place = ranks(scores.confidence, scores.masked)
    return (reaching(scores, bounds) & (place < bounds.quota[:, None])) | (scores.masked & (place == 0))


def pipelined_threshold(scores: Scores, bounds: Bounds) -> Tensor:
    """Every position that reaches the threshold; where none does, the best of a forced canvas (D2F, 2508.09192)."""
    return reaching(scores, bounds) | best(scores.confidence, scores.masked, bounds.forced.long())


def falling_threshold(scores: Scores, bounds: Bounds) -> Tensor:
    """Fast-dLLM's factor: the n-th best is accepted while its confidence is at least 1 - factor / (n + 1).

    As published, the best is not tested, and a failure at the last position alone still accepts it. A quota of more
    than that is paid.
    """
    count = scores.masked.sum(-1)
    place = torch.arange(scores.masked.shape[1], device=scores.masked.device)
    ordered = scores.confidence.masked_fill(~scores.masked, -torch.inf).sort(dim=-1, descending=True).values
    fails = (ordered < 1 - bounds.factor[:, None] / (place + 2)) & (place > 0)
    last = (count - 1).clamp(min=0)
    accepted = torch.where(fails.any(-1), fails.int().argmax(-1), last)
    accepted = accepted + ((accepted == 0) | (accepted == last))
    return best(scores.confidence, scores.masked, torch.maximum(accepted, bounds.quota))


def below_entropy_bound(scores: Scores, bounds: Bounds) -> Tensor:
    """The least uncertain positions while the entropies before them sum to at most the bound, and the quota.

    The bound limits the joint dependence that is ignored by accepting them together (EB-Sampler, arXiv 2505.24857).
    """
    within = accumulated(scores.entropy, scores.masked, own=False) <= bounds.entropy_bound[:, None]
    return (scores.masked & within) | least_uncertain(scores, bounds)


def below_entropy_sum(scores: Scores, bounds: Bounds) -> Tensor:
    """The least uncertain positions while their entropies sum to less than the bound, and the quota.

    SDAR's ``entropy_bounded``, as JetEngine repaired it: the own entropy counts, and one is always accepted.
    """
    within = accumulated(scores.entropy, scores.masked, own=True) < bounds.entropy_bound[:, None]
    return (scores.masked & within) | best(-scores.entropy, scores.masked, bounds.quota.clamp(min=1))


def reaching(scores: Scores, bounds: Bounds) -> Tensor:
    """Masked positions whose confidence reaches the threshold."""
    limit = bounds.threshold[:, None]
    equal = (scores.confidence == limit) & ~bounds.strict[:, None]
    return scores.masked & ((scores.confidence > limit) | equal)


def accumulated(entropy: Tensor, masked: Tensor, own: bool) -> Tensor:
    """The entropies of the masked positions summed in rising order, at each position and fp64.

    With ``own`` a position's own entropy counts, otherwise only those before it. Positions that are not masked come
    last and have infinity.
    """
    ordered, order = entropy.double().masked_fill(~masked, torch.inf).sort(dim=-1, stable=True)
    sums = ordered.cumsum(-1)
    return (sums if own else functional.pad(sums[:, :-1], (1, 0))).gather(1, order.argsort(dim=-1))
