from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.request import Algorithm
from dllm_worker.sampling.exits import held_back
from dllm_worker.sampling.samplers import SAMPLERS, accept, edit
from dllm_worker.sampling.scores import Bounds, Scores
from tests.dllm_worker.sampling.canvases import bounds, picked, scores, side_by_side, together

NAMES = sorted(SAMPLERS)
PAYING = [name for name in NAMES if name not in ("ancestral", "capped_threshold", "pipelined")]
"""Algorithms that accept their quota at least."""


@dataclass(frozen=True)
class Canvas:
    algorithm: Algorithm
    scores: Scores
    bounds: Bounds


unit = st.floats(0.0, 1.0, width=32)
flags = st.booleans()


@st.composite
def canvases(draw: st.DrawFn, algorithms: list[Algorithm] = NAMES) -> Canvas:
    """Few distinct values, so that ties are met."""
    length = draw(st.integers(1, 7))

    def each(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=length, max_size=length))

    coarse = st.sampled_from([0.1, 0.5, 0.9, 0.95]) | unit
    own = scores(
        each(coarse),
        masked=draw(st.lists(flags, min_size=length, max_size=length)),
        margin=each(coarse),
        gap=each(st.floats(0.0, 10.0, width=32)),
        entropy=each(coarse),
        order=each(st.floats(0.0, 1.0, exclude_min=True, exclude_max=True, width=32)),
        ends=draw(st.lists(flags, min_size=length, max_size=length)),
    )
    changed = torch.tensor([draw(st.lists(flags, min_size=length, max_size=length))]) & ~own.masked
    limits = bounds(
        quota=draw(st.integers(0, 8)),
        threshold=draw(coarse),
        strict=draw(flags),
        editing_threshold=draw(coarse),
        factor=draw(st.floats(0.1, 3.0)),
        entropy_bound=draw(unit),
        probability=draw(unit),
        leftmost_eos=draw(flags),
        forced=draw(flags),
    )
    return Canvas(draw(st.sampled_from(algorithms)), replace(own, changed=changed), limits)


def accepted(canvas: Canvas, **changes: float) -> list[int]:
    limits = replace(canvas.bounds, **{name: torch.tensor([value]) for name, value in changes.items()})
    return picked(accept([canvas.algorithm], canvas.scores, limits))


@given(canvases())
def test_only_masked_positions_are_accepted(canvas: Canvas) -> None:
    assert set(accepted(canvas)) <= set(picked(canvas.scores.masked))


@given(canvases())
def test_only_changed_positions_of_editing_algorithms_are_edited(canvas: Canvas) -> None:
    edited = picked(edit([canvas.algorithm], canvas.scores, canvas.bounds))
    assert set(edited) <= set(picked(canvas.scores.changed))
    assert not edited or SAMPLERS[canvas.algorithm].edits


@given(canvases([name for name in NAMES if name != "ancestral"]), st.integers(1, 8))
def test_every_forced_step_makes_progress(canvas: Canvas, quota: int) -> None:
    any_masked = bool(canvas.scores.masked.any())
    assert bool(accepted(canvas, quota=quota, forced=True)) == any_masked


@given(canvases(PAYING))
def test_the_quota_is_paid_from_what_is_not_held_back(canvas: Canvas) -> None:
    free = picked(canvas.scores.masked & ~held_back(canvas.scores, canvas.bounds))
    assert len(accepted(canvas)) >= min(int(canvas.bounds.quota), len(free))


@given(canvases([name for name in NAMES if SAMPLERS[name].bounded]))
def test_the_last_step_accepts_everything(canvas: Canvas) -> None:
    assert accepted(canvas, quota=7, probability=1.0) == picked(canvas.scores.masked)


@given(canvases(["low_confidence", "low_entropy", "topk_margin", "maskgit_plus", "random", "leftmost"]))
def test_rankings_accept_their_quota_and_no_more(canvas: Canvas) -> None:
    masked = int(canvas.scores.masked.sum())
    assert len(accepted(canvas, leftmost_eos=False)) == min(int(canvas.bounds.quota), masked)


@given(st.lists(canvases(), min_size=1, max_size=6))
def test_a_canvas_decides_alone_as_in_company(group: list[Canvas]) -> None:
    names = [canvas.algorithm for canvas in group]
    all_scores, limits = together([c.scores for c in group]), side_by_side([c.bounds for c in group])
    accepted_together, edited_together = accept(names, all_scores, limits), edit(names, all_scores, limits)
    for number, canvas in enumerate(group):
        assert picked(accepted_together[number : number + 1]) == accepted(canvas)
        alone = picked(edit([canvas.algorithm], canvas.scores, canvas.bounds))
        assert picked(edited_together[number : number + 1]) == alone


THRESHOLDS: list[Algorithm] = [
    "confidence_threshold",
    "quota_threshold",
    "capped_threshold",
    "joint_threshold",
    "pipelined",
    "linear_speculation",
]


@given(canvases(THRESHOLDS), unit)
def test_a_lower_threshold_accepts_no_less(canvas: Canvas, threshold: float) -> None:
    lower = min(threshold, float(canvas.bounds.threshold))
    assert set(accepted(canvas)) <= set(accepted(canvas, threshold=lower))


@given(canvases(["entropy_bound", "entropy_sum", "renoise"]), unit)
def test_a_larger_entropy_bound_accepts_no_less(canvas: Canvas, more: float) -> None:
    wider = float(canvas.bounds.entropy_bound) + more
    assert set(accepted(canvas)) <= set(accepted(canvas, entropy_bound=wider))


@given(canvases(["factor"]), st.floats(0.0, 2.0))
def test_a_larger_factor_accepts_no_less(canvas: Canvas, more: float) -> None:
    wider = float(canvas.bounds.factor) + more
    assert set(accepted(canvas)) <= set(accepted(canvas, factor=wider))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("ancestral", "autoregressive", "renoise")])
def test_ties_go_to_the_leftmost(name: Algorithm) -> None:
    equal = scores([0.5] * 5, masked=[False, True, True, True, True], entropy=[1.0] * 5)
    expected = [1] if name in ("capped_threshold", "pipelined", "factor") else [1, 2]
    quota = 1 if name == "factor" else 2
    assert picked(accept([name], equal, bounds(quota=quota, threshold=0.9, entropy_bound=0.5))) == expected


def test_a_canvas_without_masks_accepts_nothing() -> None:
    empty = scores([0.9] * 3, masked=[False] * 3)
    for name in NAMES:
        assert picked(accept([name], empty, bounds(quota=3, probability=1.0))) == []


def test_edits_are_more_probable_than_the_editing_threshold() -> None:
    """LLaDA2.1 edits in the same step in which it accepts."""
    mixed = scores([0.95, 0.9, 0.99, 0.5], masked=[False, False, False, True], changed=[True, True, False, False])
    assert picked(edit(["joint_threshold"], mixed, bounds())) == [0]
    assert picked(accept(["joint_threshold"], mixed, bounds())) == [3]
    assert picked(edit(["quota_threshold"], mixed, bounds())) == []


def test_every_algorithm_has_a_rule_that_states_its_source() -> None:
    assert set(SAMPLERS) == set(get_args(Algorithm))
    assert all(sampler.rule.__doc__ for sampler in SAMPLERS.values())


def test_only_editing_renoising_and_drafting_take_tokens_back() -> None:
    assert {name for name in NAMES if not SAMPLERS[name].monotone} == {
        "joint_threshold",
        "renoise",
        "linear_speculation",
    }


def test_agreement_with_the_prediction_is_accepted_below_the_threshold() -> None:
    agreed = scores([0.5, 0.6, 0.4, 0.3], agreed=[True, False, True, True])
    assert picked(accept(["confidence_threshold"], agreed, bounds(quota=1))) == [0, 2]
    assert picked(accept(["confidence_threshold"], replace(agreed, agreed=agreed.agreed & False), bounds())) == [1]


def test_where_agreement_does_not_pay_the_quota_the_rule_does() -> None:
    agreed = scores([0.5, 0.6, 0.4, 0.7], agreed=[True, False, False, False])
    assert picked(accept(["low_confidence"], agreed, bounds(quota=1))) == [0]
    assert picked(accept(["low_confidence"], agreed, bounds(quota=2))) == [0, 1, 3]


def test_agreement_at_settled_positions_and_on_an_end_that_is_held_back_counts_for_nothing() -> None:
    settled = scores([0.9, 0.5, 0.5], masked=[False, True, True], agreed=[True, False, False])
    assert picked(accept(["low_confidence"], settled, bounds(quota=1))) == [1]
    ends = scores([0.5, 0.9], agreed=[False, True], ends=[False, True])
    assert picked(accept(["low_confidence"], ends, bounds(quota=1, leftmost_eos=True))) == [0]
