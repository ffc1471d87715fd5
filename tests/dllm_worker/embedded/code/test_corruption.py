from __future__ import annotations

import numpy as np
import pytest

from dllm_worker.embedded.code import dataset, tokenizer
from dllm_worker.embedded.code.corpus import Document
from dllm_worker.embedded.code.corruption import (
    ATTENTION_SHARES,
    LOWEST_RATE,
    NOISE_SHARES,
    Batch,
    draw_batch,
    open_spans,
    stratified_rates,
)
from dllm_worker.embedded.code.export import CHECKPOINT
from dllm_worker.embedded.code.tokenizer import EOS_ID, MASK_ID, SUPPRESSED_IDS

WORDS = tokenizer.load(CHECKPOINT)
FUNCTION = '''
def add_{k}(first, second):
    """Return the sum of two numbers.

    Both have to be of the same kind, otherwise a conversion takes place before they are added to each other.
    """
    total = first + second
    return total + {k}
'''
TEXT = dataset.build([Document("p", "m.py", "".join(FUNCTION.format(k=k) for k in range(30)))], WORDS)


def batches(count: int = 40) -> list[Batch]:
    return [draw_batch(TEXT, seed=1, step=step, rows=1024, length=128) for step in range(count)]


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    first, again, other = (draw_batch(TEXT, 1, step, 1024, 128) for step in (3, 3, 4))
    assert first.plan == again.plan
    assert np.array_equal(first.noised, again.noised)
    assert np.array_equal(first.targets, again.targets)
    assert not np.array_equal(first.noised, other.noised)


def test_what_is_not_a_target_is_clean() -> None:
    for batch in batches():
        assert np.array_equal(batch.noised[~batch.targets], batch.clean[~batch.targets])


def test_special_tokens_are_never_targets_and_masks_never_labels() -> None:
    for batch in batches():
        assert not np.isin(batch.clean[batch.targets], SUPPRESSED_IDS).any()
        assert not (batch.clean == MASK_ID).any()


def test_each_noise_shows_what_it_says() -> None:
    for batch in batches():
        masked, changed = batch.noised == MASK_ID, batch.noised != batch.clean
        if batch.plan.noise == "mask":
            assert np.array_equal(masked, batch.targets)
        elif batch.plan.noise == "uniform":
            assert not masked.any()
        else:
            assert (changed & ~masked).any()
            assert (batch.targets & ~changed).any()


def test_all_attentions_and_noises_occur_and_rows_stay_the_same() -> None:
    drawn = batches(200)
    assert {batch.plan.attention for batch in drawn} == set(ATTENTION_SHARES)
    assert {batch.plan.noise for batch in drawn} == set(NOISE_SHARES)
    streams = [1 if batch.plan.attention == "bidirectional" else 2 for batch in drawn]
    assert {batch.clean.size * count for batch, count in zip(drawn, streams, strict=True)} == {1024}


def test_a_canvas_of_one_position_is_always_hidden() -> None:
    singles = [batch for batch in batches(200) if batch.plan.block_length == 1]
    assert singles
    for batch in singles:
        assert np.array_equal(batch.targets, ~np.isin(batch.clean, SUPPRESSED_IDS))


def test_rates_are_spread_evenly() -> None:
    rates = np.sort(stratified_rates(np.random.default_rng(0), 20))
    assert rates.min() >= LOWEST_RATE
    assert rates.max() <= 1.0
    assert np.diff(rates).max() == pytest.approx((1 - LOWEST_RATE) / 20)


def test_slack_is_end_of_sequence_inside_a_hole() -> None:
    """Outside the holes, and inside them up to their slack, the sequence is what it was."""
    tokens = np.arange(100, 300)
    for seed in range(50):
        shifted, holes = open_spans(np.random.default_rng(seed), tokens)
        assert len(shifted) == len(holes) == len(tokens)
        text = shifted[shifted != EOS_ID]
        assert np.array_equal(text, tokens[: len(text)])
        assert holes[shifted == EOS_ID].all()
        assert holes.any()
