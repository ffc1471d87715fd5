"""Named decoding algorithms: which rule each runs, and one step of all canvases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dllm_worker.request import Algorithm
from dllm_worker.sampling import rules
from dllm_worker.sampling.exits import held_back, settled
from dllm_worker.sampling.rules import Rule
from dllm_worker.sampling.scores import Bounds, Scores


@dataclass(frozen=True, slots=True)
class Sampler:
    """What an algorithm is.

    ``monotone``: an accepted token is final. ``bounded``: a canvas that pays its quotas ends with the last of its
    steps. ``edits``: settled positions may get another token. ``ordered``: the rule reads ``Scores.order``.
    ``ranks_proposals``: its confidence is that of the tempered and filtered distribution whatever the model's
    convention.
    """

    rule: Rule
    monotone: bool = True
    bounded: bool = True
    edits: bool = False
    ordered: bool = False
    ranks_proposals: bool = False


SAMPLERS: Mapping[Algorithm, Sampler] = {
    "low_confidence": Sampler(rules.most_confident),
    "low_entropy": Sampler(rules.least_uncertain),
    "topk_margin": Sampler(rules.widest_margin),
    "maskgit_plus": Sampler(rules.most_confident, ranks_proposals=True),
    "random": Sampler(rules.shuffled, ordered=True),
    "ancestral": Sampler(rules.bernoulli, ordered=True),
    "leftmost": Sampler(rules.first),
    "confidence_threshold": Sampler(rules.above_threshold),
    "capped_threshold": Sampler(rules.capped_threshold, bounded=False),
    "quota_threshold": Sampler(rules.above_threshold),
    "factor": Sampler(rules.falling_threshold),
    "entropy_bound": Sampler(rules.below_entropy_bound),
    "entropy_sum": Sampler(rules.below_entropy_sum),
    "joint_threshold": Sampler(rules.above_threshold, monotone=False, edits=True),
    "renoise": Sampler(rules.below_entropy_bound, monotone=False),
    "pipelined": Sampler(rules.pipelined_threshold, bounded=False),
    "linear_speculation": Sampler(rules.above_threshold, monotone=False),
    "autoregressive": Sampler(rules.everything),
}


AGREEMENT = 1 / 3
"""The confidence from which a proposal that was predicted is accepted. With less, models agree by chance with much that
is wrong, and a text begun so goes on so."""


def accept(algorithms: list[Algorithm], scores: Scores, bounds: Bounds) -> Tensor:
    """Run each canvas's own rule, then the early exit that accepts all that is left of a settled canvas.

    What agrees with the request's prediction is accepted from a probability of ``AGREEMENT`` on. Where that alone pays
    the quota nothing else is, so that no position is forced which had better wait for it.
    """
    accepted = torch.zeros_like(scores.masked)
    free = replace(scores, masked=scores.masked & ~held_back(scores, bounds))
    chosen = [SAMPLERS[algorithm].rule for algorithm in algorithms]
    for rule in dict.fromkeys(chosen):
        own = torch.tensor([other is rule for other in chosen], device=accepted.device)
        accepted |= rule(free, bounds) & own[:, None]
    agreed = free.masked & scores.agreed & (scores.confidence >= AGREEMENT)
    pays = agreed.any(-1) & (agreed.sum(-1) >= bounds.quota)
    accepted = torch.where(pays[:, None], agreed, accepted | agreed)
    return accepted | (scores.masked & settled(scores, bounds)[:, None])


def edit(algorithms: list[Algorithm], scores: Scores, bounds: Bounds) -> Tensor:
    """Settled positions that get another token in this step, where the algorithm edits (LLaDA2.1, arXiv 2602.08676).

    Those are the changed ones whose proposal is more probable than the editing threshold.
    """
    edits = torch.tensor([SAMPLERS[algorithm].edits for algorithm in algorithms], device=scores.changed.device)
    return scores.changed & (scores.confidence > bounds.editing_threshold[:, None]) & edits[:, None]
