from __future__ import annotations

import pytest
import torch

from dllm_worker.sampling.exits import held_back, settled
from dllm_worker.sampling.samplers import accept
from tests.dllm_worker.sampling.canvases import bounds, picked, scores, side_by_side, together


def test_a_canvas_of_low_entropy_is_accepted_whole() -> None:
    """The seeds' example: one token of 1,000 with a logit of 100 ends the denoising, random logits do not."""
    sure = torch.zeros(1000)
    sure[3] = 100.0
    unsure = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    entropies = [float(torch.special.entr(logits.softmax(-1)).sum()) for logits in (sure, unsure)]
    both = together([scores([0.1] * 8, entropy=[entropy] * 8) for entropy in entropies])
    limits = side_by_side([bounds(entropy_exit=0.05)] * 2)
    assert settled(both, limits).tolist() == [True, False]
    assert accept(["low_confidence"] * 2, both, limits).sum(-1).tolist() == [8, 1]


def test_the_exit_looks_at_masked_positions_only() -> None:
    assert settled(scores([0.5, 0.999], masked=[False, True]), bounds(entropy_exit=0.05)).tolist() == [True]
    assert settled(scores([0.5, 0.999], masked=[True, True]), bounds(entropy_exit=0.05)).tolist() == [False]


@pytest.mark.parametrize(
    ("progress", "gap"), [(0.0, 7.5), (0.32, 7.5), (0.34, 5.0), (0.65, 5.0), (0.67, 2.5), (1.0, 2.5)]
)
def test_the_gap_that_ends_a_canvas_falls_with_its_progress(progress: float, gap: float) -> None:
    for scale in (1.0, 2.0):
        limits = bounds(gap_exit=scale, progress=progress)
        for mean, ends in ((gap * scale - 0.1, False), (gap * scale, True)):
            spread = scores([0.5] * 3, gap=[mean - 1, mean + 1, 50.0], masked=[True, True, False])
            assert settled(spread, limits).tolist() == [ends]


def test_nothing_ends_early_unless_asked() -> None:
    assert settled(scores([1.0] * 3, gap=[1e30] * 3), bounds()).tolist() == [False]


def test_a_finished_canvas_is_not_settled_again() -> None:
    finished = scores([0.9] * 2, masked=[False] * 2)
    assert settled(finished, bounds(entropy_exit=1.0, gap_exit=0.0)).tolist() == [False]


def test_the_end_of_sequence_waits_for_what_precedes_it() -> None:
    """Position 3 is surest and ends the sequence; asked for leftmost ends, the rule takes the next best instead."""
    ends = scores([0.5, 0.6, 0.4, 0.99], ends=[False, False, False, True])
    assert picked(accept(["low_confidence"], ends, bounds(quota=2))) == [1, 3]
    assert picked(accept(["low_confidence"], ends, bounds(quota=2, leftmost_eos=True))) == [0, 1]
    first = scores([0.5, 0.6, 0.4, 0.99], ends=[True, False, False, False])
    asked = bounds(threshold=0.45, leftmost_eos=True)
    assert picked(accept(["confidence_threshold"], first, asked)) == [0, 1, 3]


def test_the_last_step_accepts_an_end_anywhere() -> None:
    ends = scores([0.5, 0.99], ends=[False, True])
    assert not bool(held_back(ends, bounds(quota=2, leftmost_eos=True)).any())
    assert picked(accept(["low_confidence"], ends, bounds(quota=2, leftmost_eos=True))) == [0, 1]
