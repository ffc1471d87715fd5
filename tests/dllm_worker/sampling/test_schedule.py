from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.request import Schedule
from dllm_worker.sampling.schedule import QUOTAS, ancestral_probability, quota, share, temperature_at

SCHEDULES = sorted(QUOTAS)


def accepted_per_step(schedule: Schedule, opened: int, max_steps: int) -> list[int]:
    """What each step accepts of a canvas that keeps to its schedule."""
    masked = opened
    counts: list[int] = []
    while masked:
        counts.append(quota(schedule, len(counts), max_steps, opened, masked))
        masked -= counts[-1]
    return counts


def test_every_schedule_is_known() -> None:
    assert set(QUOTAS) == set(get_args(Schedule))


def test_linear_spreads_the_canvas_evenly() -> None:
    assert accepted_per_step("linear", 32, 8) == [4] * 8
    assert accepted_per_step("linear", 32, 5) == [7, 7, 6, 6, 6]


def test_cosine_starts_slowly() -> None:
    """gamma(t) = cos(pi t / 2T) is the share still masked: half of the canvas after two thirds of the steps."""
    counts = accepted_per_step("cosine", 256, 12)
    assert counts[0] < counts[-1]
    assert counts == sorted(counts)
    assert sum(counts[:8]) == 128


def test_dream_divides_what_is_left_by_its_times() -> None:
    assert accepted_per_step("dream", 20, 8) == [2, 2, 2, 2, 2, 3, 3, 4]


def test_only_dream_owes_nothing_in_some_steps() -> None:
    counts = accepted_per_step("dream", 4, 8)
    assert 0 in counts
    assert (sum(counts), len(counts)) == (4, 8)


def test_even_rounds_up() -> None:
    assert accepted_per_step("even", 10, 4) == [3, 3, 2, 2]


@given(st.integers(1, 100), st.integers(1, 100))
def test_rounded_rounds_halves_to_even_and_drops_empty_steps(opened: int, max_steps: int) -> None:
    """The schedule of dLLM's BD3-LM sampler, which is drawn up beforehand."""
    shares, masked = [], opened
    for steps_left in range(max_steps, 0, -1):
        shares.append(round(masked / steps_left))
        masked -= shares[-1]
    assert accepted_per_step("rounded", opened, max_steps) == [owed for owed in shares if owed]


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_canvas_ahead_of_its_schedule_owes_one(schedule: Schedule) -> None:
    assert quota(schedule, 0, 8, opened=32, masked=5) == 1


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_canvas_behind_its_schedule_catches_up(schedule: Schedule) -> None:
    on_time = quota(schedule, 3, 8, opened=64, masked=64 - sum(accepted_per_step(schedule, 64, 8)[:3]))
    assert quota(schedule, 3, 8, opened=64, masked=64) == on_time + sum(accepted_per_step(schedule, 64, 8)[:3])


@given(st.sampled_from(SCHEDULES), st.integers(1, 300), st.integers(1, 300))
def test_every_step_makes_progress_and_the_bound_holds(schedule: Schedule, opened: int, max_steps: int) -> None:
    counts = accepted_per_step(schedule, opened, max_steps)
    assert sum(counts) == opened
    assert min(counts) >= (schedule != "dream")
    assert len(counts) <= max_steps


@given(st.sampled_from(SCHEDULES), st.integers(0, 40), st.integers(1, 40), st.integers(1, 60), st.data())
def test_no_step_owes_more_than_is_masked(
    schedule: Schedule, step: int, max_steps: int, opened: int, data: st.DataObject
) -> None:
    masked = data.draw(st.integers(0, opened))
    owed = quota(schedule, step, max_steps, opened, masked)
    assert 0 <= owed <= masked
    assert owed == masked or step + 1 < max_steps


def test_shares_count_the_whole_canvas_and_give_the_first_steps_the_remainder() -> None:
    assert [share("linear", step, 3, 8) for step in range(4)] == [3, 3, 2, 1]
    assert [share("linear", step, 12, 3) for step in range(4)] == [1, 1, 1, 1]


@given(st.sampled_from(SCHEDULES), st.integers(1, 60), st.integers(1, 60))
def test_shares_cover_the_canvas_within_its_steps(schedule: Schedule, max_steps: int, length: int) -> None:
    shares = [share(schedule, step, max_steps, length) for step in range(max_steps)]
    assert min(shares) >= 1
    assert sum(shares) >= length


def test_times_of_ancestral_sampling() -> None:
    """The probabilities that Dream's ``origin`` uses in six steps."""
    drawn = [ancestral_probability(step, 6) for step in range(6)]
    assert drawn == pytest.approx([0.16649997, 0.19976008, 0.24962515, 0.33266741, 0.49850297, 1.0], abs=1e-7)
    assert ancestral_probability(0, 1) == 1.0
    assert [ancestral_probability(step, 2, end_time=0.25) for step in range(2)] == [0.375, 1.0]


def test_dreams_times_may_end_earlier() -> None:
    """Of times 1, 0.75 and 0.5 the first step passes a quarter, of 1, 0.5005 and 0.001 almost half."""
    assert quota("dream", 0, 2, opened=8, masked=8, end_time=0.5) == 2
    assert quota("dream", 0, 2, opened=8, masked=8) == 3


def test_temperature_falls_from_the_first_step_on() -> None:
    heats = [temperature_at(0.4, 0.8, step, 8) for step in range(8)]
    assert heats == pytest.approx([0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45])
