"""From hidden rows to per-position statistics, in tiles, so that ``[rows, vocab]`` never exists whole."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dllm_worker.noise import NoiseKeys, vocabulary_uniform
from dllm_worker.shapes import ROW_BUCKET, bucketed

TILE_ELEMENTS = 1 << 21
"""Logits in one tile (8 MiB of fp32): a tile has this many over the vocabulary rows, but at least a bucket."""


LOG_ZERO = -1e4
"""Stands for log 0, which a probability of 0 would turn into NaN."""


@dataclass(frozen=True, slots=True)
class ProposalParameters:
    """How each row proposes its token; vectors ``[rows]``. Temperature 0 is argmax, ``top_k`` 0 is no limit."""

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor

    def select(self, rows: Tensor) -> ProposalParameters:
        return ProposalParameters(self.temperature[rows], self.top_p[rows], self.top_k[rows])


@dataclass(frozen=True, slots=True)
class Statistics:
    """What samplers see of a row: fp32 and int64 vectors ``[rows]``.

    ``confidence`` is the probability of ``proposal`` and ``entropy`` (nats) that of the whole distribution, both
    before temperature and filters, so that thresholds mean the same at every temperature.
    """

    proposal: Tensor
    confidence: Tensor
    entropy: Tensor

    def spread(self, rows: Tensor, count: int) -> Statistics:
        """These statistics at ``rows`` of ``count``; the others are zero."""

        def at_rows(values: Tensor) -> Tensor:
            return values.new_zeros(count).index_copy_(0, rows, values)

        return Statistics(at_rows(self.proposal), at_rows(self.confidence), at_rows(self.entropy))

    @staticmethod
    def concatenate(parts: list[Statistics]) -> Statistics:
        return Statistics(
            torch.cat([part.proposal for part in parts]),
            torch.cat([part.confidence for part in parts]),
            torch.cat([part.entropy for part in parts]),
        )


def head_statistics(
    hidden: Tensor, output_embedding: Tensor, suppressed: Tensor, parameters: ProposalParameters, keys: NoiseKeys
) -> Statistics:
    """Reduce ``hidden [rows, width]`` against ``output_embedding [vocab, width]``.

    ``suppressed`` holds the vocabulary entries that are never proposed. They are removed before the softmax, so
    their probability is shared among the others.
    """
    tile = max(ROW_BUCKET, TILE_ELEMENTS // output_embedding.shape[0])
    parts = []
    for start in range(0, hidden.shape[0], tile):
        rows = torch.arange(start, min(start + tile, hidden.shape[0]), device=hidden.device)
        padding = bucketed(len(rows)) - len(rows)
        padded = functional.pad(hidden[start : start + tile], (0, 0, 0, padding))
        logits = functional.linear(padded, output_embedding)[: len(rows)].float()
        logits[:, suppressed] = -torch.inf
        parts.append(_tile_statistics(logits, parameters.select(rows), keys.select(rows)))
    return Statistics.concatenate(parts)


def _tile_statistics(logits: Tensor, parameters: ProposalParameters, keys: NoiseKeys) -> Statistics:
    log_probabilities = functional.log_softmax(logits, dim=-1)
    probabilities = log_probabilities.exp()
    entropy = -(probabilities * log_probabilities.clamp(min=LOG_ZERO)).sum(-1)
    proposal = logits.argmax(-1)
    sampled = (parameters.temperature > 0).nonzero().flatten()
    if sampled.numel():
        proposal[sampled] = _sample(logits[sampled], parameters.select(sampled), keys.select(sampled))
    return Statistics(proposal, probabilities.gather(1, proposal[:, None]).flatten(), entropy)


def _sample(logits: Tensor, parameters: ProposalParameters, keys: NoiseKeys) -> Tensor:
    """Gumbel-max draw from the tempered and filtered distribution (additive form in fp32, arXiv 2409.02908)."""
    tempered = _keep_top(logits / parameters.temperature[:, None], parameters)
    gumbel = -torch.log(-torch.log(vocabulary_uniform(keys, logits.shape[1])))
    return (tempered + gumbel).argmax(-1)


def _keep_top(logits: Tensor, parameters: ProposalParameters) -> Tensor:
    """Drop what lies outside the ``top_k`` best and outside the nucleus of mass ``top_p``; the best always stays."""
    filtered = (parameters.top_p < 1) | (parameters.top_k > 0)
    if not bool(filtered.any()):
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    rank = torch.arange(logits.shape[1], device=logits.device)
    limit = torch.where(parameters.top_k > 0, parameters.top_k, logits.shape[1])
    dropped = (before >= parameters.top_p[:, None]) | (rank >= limit[:, None])
    dropped[:, 0] = False
    return logits.masked_fill(dropped.gather(1, order.argsort(-1)), -torch.inf)
