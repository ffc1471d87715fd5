from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.request import Schedule
from dllm_worker.sampling.schedule import MASKS_LEFT, quota


def accepted_per_step(schedule: Schedule, opened: int, max_steps: int) -> list[int]:
    masked = opened
    counts: list[int] = []
    while masked:
        counts.append(quota(schedule, len(counts), max_steps, opened, masked))
        masked -= counts[-1]
    return counts


def test_linear_spreads_the_canvas_evenly() -> None:
    assert accepted_per_step("linear", 32, 8) == [4] * 8
    assert accepted_per_step("linear", 32, 5) == [7, 7, 6, 6, 6]


def test_cosine_starts_slowly() -> None:
    counts = accepted_per_step("cosine", 256, 8)
    assert counts[0] < counts[-1]
    assert counts == sorted(counts)


def test_a_canvas_ahead_of_its_schedule_owes_one() -> None:
    assert quota("linear", 0, 8, opened=32, masked=5) == 1


@pytest.mark.parametrize("schedule", MASKS_LEFT)
def test_schedules_run_from_everything_to_nothing(schedule: Schedule) -> None:
    assert MASKS_LEFT[schedule](81, 0, 12) == 81
    assert MASKS_LEFT[schedule](81, 12, 12) == 0


def test_the_cosine_of_the_seeds() -> None:
    """gamma(t) = cos(pi t / 2T) is the share still masked: half of the canvas after two thirds of the steps."""
    assert MASKS_LEFT["cosine"](256, 8, 12) == 128


@given(st.sampled_from(["linear", "cosine"]), st.integers(1, 300), st.integers(1, 300))
def test_every_step_makes_progress_and_the_bound_holds(schedule: Schedule, opened: int, max_steps: int) -> None:
    counts = accepted_per_step(schedule, opened, max_steps)
    assert sum(counts) == opened
    assert min(counts) >= 1
    assert len(counts) <= max_steps
