from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dllm_worker.request import Algorithm
from dllm_worker.sampling.samplers import SAMPLERS, Bounds, Scores, accept, held_back, settled

INFINITE = -math.inf
LIKELY_END = 0.7
Row = tuple[Algorithm, list[tuple[float, bool]], int, float]


def scores(confidence: list[float], masked: list[bool] | None = None, order: list[float] | None = None) -> Scores:
    """One canvas; a position's entropy is that of a coin with its confidence."""
    p = torch.tensor([confidence])
    entropy = torch.special.entr(p) + torch.special.entr(1 - p)
    hidden = torch.tensor([masked or [True] * len(confidence)])
    return Scores(hidden, p, entropy, torch.tensor([order or confidence]), torch.zeros_like(hidden))


def bounds(
    quota: int = 1, threshold: float = 0.9, entropy_bound: float = 0.1, entropy_exit: float = INFINITE
) -> Bounds:
    return Bounds(*(torch.tensor([value]) for value in (quota, threshold, entropy_bound, entropy_exit, False)))


def picked(accepted: Tensor) -> list[int]:
    return accepted[0].nonzero().flatten().tolist()


def test_low_confidence_takes_the_most_confident() -> None:
    assert picked(accept(["low_confidence"], scores([0.2, 0.9, 0.5, 0.8]), bounds(quota=2))) == [1, 3]


def test_random_follows_the_noise() -> None:
    drawn = scores([0.9, 0.9, 0.1, 0.1], order=[0.3, 0.1, 0.8, 0.2])
    assert picked(accept(["random"], drawn, bounds(quota=2))) == [0, 2]


def test_threshold_takes_all_above_it_and_the_threshold_itself() -> None:
    assert picked(accept(["confidence_threshold"], scores([0.95, 0.9, 0.89, 0.99]), bounds())) == [0, 1, 3]


def test_threshold_takes_the_best_when_none_is_above() -> None:
    assert picked(accept(["confidence_threshold"], scores([0.3, 0.6, 0.5]), bounds())) == [1]


def test_threshold_pays_the_quota() -> None:
    assert picked(accept(["confidence_threshold"], scores([0.3, 0.6, 0.5]), bounds(quota=2))) == [1, 2]


def test_entropy_bound_leaves_out_the_own_entropy() -> None:
    """Of entropies 0.1, 0.2 and 0.4, the sums before each are 0, 0.1 and 0.3."""
    hidden = torch.ones(1, 3, dtype=torch.bool)
    entropy = torch.tensor([[0.4, 0.1, 0.2]])
    given_entropy = Scores(hidden, torch.zeros(1, 3), entropy, torch.zeros(1, 3), torch.zeros_like(hidden))
    assert picked(accept(["entropy_bound"], given_entropy, bounds(entropy_bound=0.05))) == [1]
    assert picked(accept(["entropy_bound"], given_entropy, bounds(entropy_bound=0.1))) == [1, 2]
    assert picked(accept(["entropy_bound"], given_entropy, bounds(entropy_bound=0.3001))) == [0, 1, 2]


def test_accepted_positions_do_not_count_for_the_entropy_bound() -> None:
    mixed = scores([0.5, 0.99, 0.98], masked=[False, True, True])
    assert picked(accept(["entropy_bound"], mixed, bounds(entropy_bound=0.2))) == [1, 2]


def test_a_settled_canvas_is_accepted_whole() -> None:
    """The seeds' example: one token of 1,000 with a logit of 100 ends the denoising, random logits do not."""
    sure = torch.zeros(1000)
    sure[3] = 100.0
    unsure = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    entropies = [torch.special.entr(logits.softmax(-1)).sum() for logits in (sure, unsure)]
    hidden = torch.ones(2, 8, dtype=torch.bool)
    entropy = torch.stack(entropies)[:, None].expand(2, 8)
    both = Scores(hidden, torch.full((2, 8), 0.1), entropy, torch.zeros(2, 8), torch.zeros_like(hidden))
    limits = Bounds(
        torch.ones(2), torch.full((2,), 0.9), torch.zeros(2), torch.full((2,), 0.05), torch.zeros(2, dtype=torch.bool)
    )
    assert settled(both, limits).tolist() == [True, False]
    assert accept(["low_confidence"] * 2, both, limits).sum(-1).tolist() == [8, 1]


def test_the_exit_looks_at_masked_positions_only() -> None:
    assert settled(scores([0.5, 0.999], masked=[False, True]), bounds(entropy_exit=0.05)).tolist() == [True]
    assert settled(scores([0.5, 0.999], masked=[True, True]), bounds(entropy_exit=0.05)).tolist() == [False]


def test_the_end_of_sequence_waits_for_what_precedes_it() -> None:
    """Position 3 is surest and ends the sequence; asked for leftmost ends, the rule takes the next best instead."""
    ends = replace(scores([0.5, 0.6, 0.4, 0.99]), ends=torch.tensor([[False, False, False, True]]))
    asked = replace(bounds(quota=2), leftmost_eos=torch.tensor([True]))
    assert picked(accept(["low_confidence"], ends, bounds(quota=2))) == [1, 3]
    assert picked(accept(["low_confidence"], ends, asked)) == [0, 1]
    first = replace(ends, ends=torch.tensor([[True, False, False, False]]))
    assert picked(accept(["confidence_threshold"], first, replace(asked, threshold=torch.tensor([0.45])))) == [0, 1, 3]


def test_the_last_step_accepts_an_end_anywhere() -> None:
    ends = replace(scores([0.5, 0.99]), ends=torch.tensor([[False, True]]))
    assert picked(accept(["low_confidence"], ends, replace(bounds(quota=2), leftmost_eos=torch.tensor([True])))) == [
        0,
        1,
    ]


canvases = st.lists(
    st.tuples(
        st.sampled_from(sorted(SAMPLERS)),
        st.lists(st.tuples(st.floats(0.0, 1.0, width=32), st.booleans()), min_size=6, max_size=6),
        st.integers(1, 6),
        st.floats(0.1, 1.0),
    ),
    min_size=1,
    max_size=5,
)


def stacked(rows: list[Row]) -> tuple[list[Algorithm], Scores, Bounds]:
    confidence = torch.tensor([[p for p, _ in cells] for _, cells, _, _ in rows])
    masked = torch.tensor([[m for _, m in cells] for _, cells, _, _ in rows])
    entropy = torch.special.entr(confidence) + torch.special.entr(1 - confidence)
    limits = Bounds(
        torch.tensor([quota for _, _, quota, _ in rows]),
        torch.tensor([threshold for _, _, _, threshold in rows]),
        torch.tensor([0.2] * len(rows)),
        torch.tensor([INFINITE] * len(rows)),
        torch.tensor([quota % 2 == 1 for _, _, quota, _ in rows]),
    )
    given_scores = Scores(masked, confidence, entropy, confidence.flip(-1), confidence > LIKELY_END)
    return [name for name, *_ in rows], given_scores, limits


@given(canvases)
def test_only_masked_positions_and_at_least_one(rows: list[Row]) -> None:
    names, given_scores, limits = stacked(rows)
    accepted = accept(names, given_scores, limits)
    assert not bool((accepted & ~given_scores.masked).any())
    assert accepted.any(-1).tolist() == given_scores.masked.any(-1).tolist()
    free = (given_scores.masked & ~held_back(given_scores, limits)).sum(-1)
    assert bool((accepted.sum(-1) >= torch.minimum(limits.quota, free)).all())


@given(canvases)
def test_a_canvas_decides_alone_as_in_company(rows: list[Row]) -> None:
    together = accept(*stacked(rows))
    for row, expected in zip(rows, together, strict=True):
        assert torch.equal(accept(*stacked([row]))[0], expected)


def test_every_algorithm_has_a_rule_that_states_its_source() -> None:
    assert set(SAMPLERS) == set(get_args(Algorithm))
    assert all(rule.__doc__ for rule in SAMPLERS.values())
