"""When a canvas ends early, and what must not end it too early."""

from __future__ import annotations

import torch
from torch import Tensor

from dllm_worker.sampling.scores import Bounds, Scores, mean_where

GAPS = (7.5, 5.0, 2.5)
"""Prophet's thresholds in the first, second and last third of the steps (arXiv 2508.19982)."""


def settled(scores: Scores, bounds: Bounds) -> Tensor:
    """Canvases ``[canvases]`` all of whose masks may be accepted at once.

    Either their mean entropy over the masked positions lies below ``entropy_exit``, or the mean gap between the two
    best logits there reaches the published threshold times ``gap_exit`` (early answer convergence).
    """
    third = (bounds.progress * len(GAPS)).long().clamp(0, len(GAPS) - 1)
    wide = torch.tensor(GAPS, device=third.device)[third] * bounds.gap_exit
    certain = mean_where(scores.entropy, scores.masked) < bounds.entropy_exit
    return (certain | (mean_where(scores.gap, scores.masked) >= wide)) & scores.masked.any(-1)


def held_back(scores: Scores, bounds: Bounds) -> Tensor:
    """Proposed ends of the sequence that have masked positions before them, where the request wants them leftmost.

    A model that pads with end-of-sequence is surest of it where it knows least, far to the right, and would cut its
    answers short. The step that has to accept everything holds nothing back.
    """
    earlier = scores.masked.int().cumsum(-1) - scores.masked.int()
    asked = bounds.leftmost_eos & (bounds.quota < scores.masked.sum(-1))
    return scores.ends & (earlier > 0) & asked[:, None]
