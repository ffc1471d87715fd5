"""Training batches: clean windows, what is hidden or replaced in them, and which positions the loss counts.

Every batch is a pure function of ``(seed, step)``. Its attention, canvas length and corruption are drawn once per
batch, so that shapes repeat and compiled graphs are reused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from dllm_worker.embedded.code.dataset import Dataset
from dllm_worker.embedded.code.tokenizer import EOS_ID, MASK_ID, SPECIAL_TOKENS, SUPPRESSED_IDS, VOCAB_SIZE
from dllm_worker.spec import ContextAttention

Noise = Literal["mask", "mixture", "uniform"]
Choice = TypeVar("Choice")
Flags = NDArray[np.bool_]
Tokens = NDArray[np.int64]

ATTENTION_SHARES: dict[ContextAttention, float] = {"bidirectional": 0.4, "block_causal": 0.35, "causal": 0.25}
BLOCK_LENGTHS = (4, 8, 16, 32, 64, 128)
CANVAS_LENGTHS = (1, 4, 8, 16, 32, 64)
NOISE_SHARES: dict[Noise, float] = {"mask": 0.75, "mixture": 0.1, "uniform": 0.15}
WRONG_SHARE = 0.1
LOWEST_RATE = 0.05
LONG_SHARE = 0.12
SPAN_SHARE, SUFFIX_SHARE = 0.4, 0.2
FULL_SHARE = 0.5
BLOCK_BEGUN_SHARE, BLOCK_FULL_SHARE = 0.4, 0.3
_MOST_SPANS, _LONGEST_SPAN, _LONGEST_SLACK = 4, 80, 16
_SLACK_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What the sequences of a batch have in common. ``block_length`` is 0 for the bidirectional attention."""

    attention: ContextAttention
    block_length: int
    noise: Noise
    sequences: int
    length: int


@dataclass(frozen=True, slots=True)
class Batch:
    """``noised`` and ``clean`` are ``[sequences, length]``; the loss counts the positions where ``targets`` is true.

    Positions outside ``targets`` hold the same token in both.
    """

    plan: BatchPlan
    noised: Tokens
    clean: Tokens
    targets: Flags


def draw_plan(rng: np.random.Generator, rows: int, length: int) -> BatchPlan:
    """A plan whose network sees ``rows`` rows; now and then its sequences are twice as long as ``length``."""
    attention = _choose(rng, ATTENTION_SHARES)
    if rng.random() < LONG_SHARE:
        length *= 2
    if attention == "bidirectional":
        return BatchPlan(attention, 0, _choose(rng, NOISE_SHARES), rows // length, length)
    lengths = BLOCK_LENGTHS if attention == "block_causal" else CANVAS_LENGTHS
    block_length = int(rng.choice(lengths))
    noise = _choose(rng, NOISE_SHARES) if block_length > 1 else "mask"
    return BatchPlan(attention, block_length, noise, rows // (2 * length), length)


def draw_batch(dataset: Dataset, seed: int, step: int, rows: int, length: int) -> Batch:
    """The batch of ``step``."""
    rng = np.random.default_rng((seed, step))
    plan = draw_plan(rng, rows, length)
    clean = np.stack([dataset.window(plan.length, rng) for _ in range(plan.sequences)]).astype(np.int64)
    regions = np.ones(clean.shape, dtype=bool)
    if plan.attention == "bidirectional":
        clean, regions, rates = _open_regions(rng, clean)
        holes = regions & (rng.random(clean.shape) < rates[:, None])
    else:
        holes = _block_holes(rng, plan)
    noised, targets = corrupt(rng, plan.noise, clean, regions, holes)
    return Batch(plan, noised, clean, targets)


def stratified_rates(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """``count`` rates spread evenly over ``(LOWEST_RATE, 1]`` with one common offset, in random order."""
    spread = (rng.random() + np.arange(count) / count) % 1.0
    return rng.permutation(1.0 - spread * (1.0 - LOWEST_RATE))


def open_spans(rng: np.random.Generator, tokens: Tokens) -> tuple[Tokens, Flags]:
    """Hide a few spans of one sequence. Some holes are longer than their text and end with end-of-sequence.

    What stands behind a hole shifts right by its slack, and what leaves the window is dropped.
    """
    count = int(rng.integers(1, _MOST_SPANS + 1))
    pieces: list[Tokens] = []
    flags: list[Flags] = []
    end_of_last = 0
    for start in sorted(int(x) for x in rng.integers(1, len(tokens), count)):
        start = max(start, end_of_last)
        stop = min(len(tokens), start + int(np.exp(rng.uniform(0.0, np.log(_LONGEST_SPAN + 1)))))
        slack = int(rng.integers(1, _LONGEST_SLACK + 1)) if rng.random() < _SLACK_SHARE else 0
        pieces += [tokens[end_of_last:stop], np.full(slack, EOS_ID)]
        flags += [np.zeros(start - end_of_last, dtype=bool), np.ones(stop - start + slack, dtype=bool)]
        end_of_last = stop
    pieces.append(tokens[end_of_last:])
    flags.append(np.zeros(len(tokens) - end_of_last, dtype=bool))
    return np.concatenate(pieces)[: len(tokens)], np.concatenate(flags)[: len(tokens)]


def _open_regions(rng: np.random.Generator, clean: Tokens) -> tuple[Tokens, Flags, NDArray[np.float64]]:
    """For each sequence its tokens (shifted where a hole has slack), the region that is denoised, and a rate.

    The region is everything, some spans, or a suffix. Half of the spans and suffixes are hidden completely: that is
    how a canvas begins; the others are canvases half way.
    """
    sequences, length = clean.shape
    clean, regions = clean.copy(), np.ones(clean.shape, dtype=bool)
    rates = stratified_rates(rng, sequences)
    for k, kind in enumerate(rng.random((sequences,))):
        if kind < SPAN_SHARE:
            clean[k], regions[k] = open_spans(rng, clean[k])
        elif kind < SPAN_SHARE + SUFFIX_SHARE:
            regions[k] = np.arange(length) >= rng.integers(1, length)
        if kind < SPAN_SHARE + SUFFIX_SHARE and rng.random() < FULL_SHARE:
            rates[k] = 1.0
    return clean, regions, rates


def _block_holes(rng: np.random.Generator, plan: BatchPlan) -> Flags:
    """Every block is a canvas of its own: holes at its own rate, or everything from some position on.

    The latter is how a canvas begins, with or without the prompt's tail in it; one position is always hidden.
    """
    blocks = plan.length // plan.block_length
    rates = stratified_rates(rng, plan.sequences * blocks)[:, None]
    shape = (plan.sequences * blocks, plan.block_length)
    scattered = rng.random(shape) < rates
    begun = np.arange(plan.block_length) >= rng.integers(0, plan.block_length, shape[0])[:, None]
    begun[rng.random(shape[0]) < BLOCK_FULL_SHARE] = True
    is_scattered = (rng.random(shape[0]) >= BLOCK_BEGUN_SHARE) & (plan.block_length > 1)
    return np.where(is_scattered[:, None], scattered, begun).reshape(plan.sequences, plan.length)


def corrupt(
    rng: np.random.Generator, noise: Noise, clean: Tokens, regions: Flags, holes: Flags
) -> tuple[Tokens, Flags]:
    """Noised tokens and targets. ``holes`` lie in ``regions``; special tokens are neither corrupted nor targets.

    With ``mask`` the holes are the targets. With the others a visible token of the region may be wrong, so all of the
    region is: the network has to keep what is right as well as to correct what is not.
    """
    special = np.isin(clean, SUPPRESSED_IDS)
    regions, holes = regions & ~special, holes & ~special
    replacement = rng.integers(len(SPECIAL_TOKENS), VOCAB_SIZE, clean.shape)
    if noise == "uniform":
        return np.where(holes, replacement, clean), regions
    noised = np.where(holes, MASK_ID, clean)
    if noise == "mask":
        return noised, holes
    wrong = regions & ~holes & (rng.random(clean.shape) < WRONG_SHARE)
    return np.where(wrong, replacement, noised), regions


def _choose(rng: np.random.Generator, shares: Mapping[Choice, float]) -> Choice:
    return list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]
