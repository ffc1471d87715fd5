"""From hidden rows to per-position statistics, in tiles, so that ``[rows, vocab]`` never exists whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from dllm_worker.models.head import Head
from dllm_worker.noise import Draws, NoiseKeys
from dllm_worker.sampling.distribution import EXCLUDED, Distribution, keep_top, tempered
from dllm_worker.sampling.likelihood import Likelihoods
from dllm_worker.shapes import ROW_BUCKET, bucketed

TILE_ELEMENTS = 1 << 21
"""Logits in one tile (8 MiB of fp32): a tile has this many over the vocabulary rows, but at least a bucket."""


@dataclass(frozen=True, slots=True)
class ProposalParameters:
    """How each row proposes its token; vectors ``[rows]``. Temperature 0 is argmax, ``top_k`` 0 is no limit.

    Where ``tempered`` (bool) holds, confidence, margin and entropy are those of the distribution which is left after
    temperature, top-k and top-p; elsewhere, and at temperature 0, they are those of the model's own. ``nucleus_first``
    (bool) is as in :func:`keep_top`. ``asked`` (bool) rows want log-probabilities and up to ``alternatives`` other
    tokens; ``None`` where no row does.
    """

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    tempered: Tensor
    nucleus_first: Tensor
    asked: Tensor | None = None
    alternatives: int = 0

    def select(self, rows: Tensor) -> ProposalParameters:
        return ProposalParameters(
            self.temperature[rows],
            self.top_p[rows],
            self.top_k[rows],
            self.tempered[rows],
            self.nucleus_first[rows],
            None if self.asked is None else self.asked[rows],
            self.alternatives,
        )


@dataclass(frozen=True, slots=True)
class Statistics:
    """What samplers see of a row: vectors ``[rows]``, fp32 but for the int64 ``proposal`` and ``best``.

    ``confidence`` is the probability of ``proposal``, ``margin`` that of the most probable token less that of the
    runner-up, ``entropy`` that of the whole distribution in nats. ``best`` is the model's most probable token, of
    equals the lowest id, and ``gap`` how far its logit lies above the next one, before temperature and filters.
    ``likelihoods`` are there where a row asks for them.
    """

    proposal: Tensor
    confidence: Tensor
    margin: Tensor
    gap: Tensor
    entropy: Tensor
    best: Tensor
    likelihoods: Likelihoods | None = field(default=None, kw_only=True)

    def spread(self, rows: Tensor, count: int) -> Statistics:
        """These statistics, less their likelihoods, at ``rows`` of ``count``; the others are zero."""
        return Statistics(*(values.new_zeros(count).index_copy_(0, rows, values) for values in self._columns()))

    def split(self, lengths: list[int]) -> list[Statistics]:
        """These statistics in consecutive pieces."""
        columns = zip(*(torch.split(values, lengths) for values in self._columns()), strict=True)
        pieces = [Statistics(*piece) for piece in columns]
        if self.likelihoods is None:
            return pieces
        asked = self.likelihoods.split(lengths)
        return [replace(piece, likelihoods=own) for piece, own in zip(pieces, asked, strict=True)]

    def cpu(self) -> Statistics:
        asked = None if self.likelihoods is None else self.likelihoods.cpu()
        return replace(Statistics(*(values.cpu() for values in self._columns())), likelihoods=asked)

    @staticmethod
    def concatenate(parts: list[Statistics]) -> Statistics:
        columns = zip(*(part._columns() for part in parts), strict=True)
        asked = [part.likelihoods for part in parts if part.likelihoods is not None]
        likelihoods = Likelihoods.concatenate(asked) if asked else None
        return replace(Statistics(*(torch.cat(column) for column in columns)), likelihoods=likelihoods)

    def _columns(self) -> list[Tensor]:
        return [self.proposal, self.confidence, self.margin, self.gap, self.entropy, self.best]


def head_statistics(
    hidden: Tensor, head: Head, suppressed: Tensor, parameters: ProposalParameters, keys: NoiseKeys, draws: Draws
) -> Statistics:
    """Reduce ``hidden [rows, width]`` to what samplers see.

    ``suppressed`` holds the ids of the vocabulary entries that are never proposed. They are removed before the
    softmax, so their probability is shared among the others.
    """
    return Statistics.concatenate(
        [
            _tile_statistics(own, parameters.select(rows), keys.select(rows), draws)
            for rows, own in _tiles(hidden, head, suppressed)
        ]
    )


def conditioned_statistics(
    hidden: Tensor,
    head: Head,
    suppressed: Tensor,
    parameters: ProposalParameters,
    keys: NoiseKeys,
    draws: Draws,
    table: Tensor,
) -> tuple[Statistics, Tensor]:
    """As :func:`head_statistics`, with each row's soft embedding for the next step of a self-conditioned model.

    That is ``softmax(logits / temperature) @ table``, fp32 ``[rows, width]``, of ``table [vocab, width]``: the mean
    embedding under the tempered distribution, before top-k and top-p. One head product serves both.
    """
    parts, soft = [], []
    for rows, own in _tiles(hidden, head, suppressed):
        chosen = parameters.select(rows)
        soft.append(_mean_embedding(own, chosen.temperature, table, head))
        parts.append(_tile_statistics(own, chosen, keys.select(rows), draws))
    return Statistics.concatenate(parts), torch.cat(soft)


def _tiles(hidden: Tensor, head: Head, suppressed: Tensor) -> Iterator[tuple[Tensor, Distribution]]:
    """Consecutive rows and the model's own distribution at them; products see whole buckets of rows."""
    tile = max(1, TILE_ELEMENTS // head.weight.shape[0] // ROW_BUCKET) * ROW_BUCKET
    for start in range(0, max(1, hidden.shape[0]), tile):
        rows = torch.arange(start, min(start + tile, hidden.shape[0]), device=hidden.device)
        logits = head.logits(_padded(hidden[start : start + tile]))[: len(rows)]
        logits[:, suppressed] = EXCLUDED
        yield rows, Distribution.of(logits)


def _padded(rows: Tensor) -> Tensor:
    return functional.pad(rows, (0, 0, 0, bucketed(len(rows)) - len(rows)))


def _mean_embedding(own: Distribution, temperature: Tensor, table: Tensor, head: Head) -> Tensor:
    probabilities = tempered(own.logits, torch.where(temperature > 0, temperature, 1.0)).softmax(-1)
    rows = _padded(probabilities).to(table.dtype)
    return head.product(lambda part: part @ table, rows)[: len(temperature)].float()


def _tile_statistics(own: Distribution, parameters: ProposalParameters, keys: NoiseKeys, draws: Draws) -> Statistics:
    proposal, confidence = own.best.clone(), own.probability(own.best)
    margin, entropy = own.margin, own.entropy.clone()
    sampled = (parameters.temperature > 0).nonzero().flatten()
    if sampled.numel():
        chosen = parameters.select(sampled)
        heated = tempered(own.logits[sampled], chosen.temperature)
        heated = keep_top(heated, chosen.top_k, chosen.top_p, chosen.nucleus_first)
        proposal[sampled] = draws.choose(heated, keys.select(sampled))
        confidence[sampled] = own.probability(proposal)[sampled]
        among = chosen.tempered.nonzero().flatten()
        if among.numel():
            left, rows = Distribution.of(heated[among]), sampled[among]
            confidence[rows] = left.probability(proposal[rows])
            margin[rows], entropy[rows] = left.margin, left.entropy
    asked = parameters.asked
    likelihoods = None if asked is None else Likelihoods.of(own, proposal, asked, parameters.alternatives)
    return Statistics(proposal, confidence, margin, own.gap, entropy, own.best, likelihoods=likelihoods)
