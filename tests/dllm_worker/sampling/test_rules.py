from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dllm_worker.sampling import rules
from dllm_worker.sampling.rules import Rule
from tests.dllm_worker.sampling.canvases import bounds, picked, scores


@pytest.mark.parametrize(
    ("rule", "score"),
    [
        (rules.most_confident, "confidence"),
        (rules.widest_margin, "margin"),
        (rules.shuffled, "order"),
    ],
)
def test_rankings_take_the_quota_s_highest(rule: Rule, score: str) -> None:
    ranked = replace(scores([0.5] * 4), **{score: torch.tensor([[0.2, 0.9, 0.5, 0.8]])})
    assert picked(rule(ranked, bounds(quota=2))) == [1, 3]
    assert picked(rule(ranked, bounds(quota=0))) == []


def test_low_entropy_takes_the_least_uncertain() -> None:
    assert picked(rules.least_uncertain(scores([0.5] * 3, entropy=[0.4, 0.1, 0.2]), bounds(quota=2))) == [1, 2]


def test_leftmost_counts_masked_positions_only() -> None:
    assert picked(rules.first(scores([0.9] * 4, masked=[False, True, False, True]), bounds(quota=1))) == [1]


def test_ancestral_positions_each_throw_their_own_coin() -> None:
    drawn = scores([0.5] * 4, order=[0.3, 0.1, 0.8, 0.2])
    assert picked(rules.bernoulli(drawn, bounds(probability=0.25))) == [1, 3]
    assert picked(rules.bernoulli(drawn, bounds(probability=0.05))) == []
    assert picked(rules.bernoulli(drawn, bounds(probability=1.0))) == [0, 1, 2, 3]


def test_threshold_takes_all_above_it_and_if_not_strict_the_threshold_itself() -> None:
    given = scores([0.95, 0.9, 0.89, 0.99])
    assert picked(rules.above_threshold(given, bounds())) == [0, 1, 3]
    assert picked(rules.above_threshold(given, bounds(strict=True))) == [0, 3]


def test_threshold_takes_the_best_when_none_is_above() -> None:
    assert picked(rules.above_threshold(scores([0.3, 0.6, 0.5]), bounds(quota=0))) == [1]


def test_threshold_pays_the_quota() -> None:
    assert picked(rules.above_threshold(scores([0.3, 0.6, 0.5]), bounds(quota=2))) == [1, 2]


def test_capped_threshold_looks_at_the_quota_s_best_only() -> None:
    given = scores([0.8, 0.95, 0.92, 0.97])
    assert picked(rules.capped_threshold(given, bounds(quota=2))) == [1, 3]
    assert picked(rules.capped_threshold(given, bounds(quota=4))) == [1, 2, 3]
    assert picked(rules.capped_threshold(given, bounds(quota=4, threshold=0.99))) == [3]


def test_a_pipelined_canvas_waits_unless_it_is_forced() -> None:
    given = scores([0.3, 0.95, 0.5])
    assert picked(rules.pipelined_threshold(given, bounds(forced=False, threshold=0.99))) == []
    assert picked(rules.pipelined_threshold(given, bounds(forced=True, threshold=0.99, quota=2))) == [1]
    assert picked(rules.pipelined_threshold(given, bounds(forced=False, threshold=0.4))) == [1, 2]


@pytest.mark.parametrize(
    ("confidence", "accepted"),
    [
        ([0.1], [0]),
        ([0.9, 0.1, 0.1], [0]),
        ([0.9, 0.7, 0.1], [0, 1, 2]),  # the second needs 2/3; a failure at the last position alone accepts it too
        ([0.7, 0.1, 0.7, 0.1], [0, 2]),
        ([0.9, 0.8, 0.8, 0.9], [0, 1, 2, 3]),  # none fails: 2/3, 3/4 and 4/5 are reached
    ],
)
def test_the_factor_asks_more_of_each_further_position(confidence: list[float], accepted: list[int]) -> None:
    assert picked(rules.falling_threshold(scores(confidence), bounds())) == accepted


def test_the_factor_pays_the_quota() -> None:
    assert picked(rules.falling_threshold(scores([0.9, 0.1, 0.2, 0.1]), bounds(quota=2))) == [0, 2]


def test_entropy_bound_leaves_out_the_own_entropy() -> None:
    """Of entropies 0.1, 0.2 and 0.4, the sums before each are 0, 0.1 and 0.3."""
    given = scores([0.0] * 3, entropy=[0.4, 0.1, 0.2])
    assert picked(rules.below_entropy_bound(given, bounds(entropy_bound=0.05))) == [1]
    assert picked(rules.below_entropy_bound(given, bounds(entropy_bound=0.11))) == [1, 2]
    assert picked(rules.below_entropy_bound(given, bounds(entropy_bound=0.31))) == [0, 1, 2]


def test_entropy_sum_counts_the_own_entropy() -> None:
    given = scores([0.0] * 3, entropy=[0.4, 0.1, 0.2])
    assert picked(rules.below_entropy_sum(given, bounds(entropy_bound=0.05, quota=0))) == [1]
    assert picked(rules.below_entropy_sum(given, bounds(entropy_bound=0.29))) == [1]
    assert picked(rules.below_entropy_sum(given, bounds(entropy_bound=0.31))) == [1, 2]
    assert picked(rules.below_entropy_sum(given, bounds(entropy_bound=0.05, quota=2))) == [1, 2]


def test_the_entropy_bound_may_be_reached_and_the_entropy_sum_may_not() -> None:
    given = scores([0.0] * 3, entropy=[0.25, 0.5, 2.0])
    assert picked(rules.below_entropy_bound(given, bounds(entropy_bound=0.75))) == [0, 1, 2]
    assert picked(rules.below_entropy_sum(given, bounds(entropy_bound=0.75))) == [0]


def test_settled_positions_do_not_count_for_the_entropy_bound() -> None:
    mixed = scores([0.5, 0.99, 0.98], masked=[False, True, True])
    assert picked(rules.below_entropy_bound(mixed, bounds(entropy_bound=0.2))) == [1, 2]


def test_equal_entropies_are_taken_from_the_left() -> None:
    equal = scores([0.0] * 6, entropy=[0.1] * 6)
    assert picked(rules.below_entropy_bound(equal, bounds(entropy_bound=0.25))) == [0, 1, 2]
