from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.request import Schedule
from dllm_worker.sampling.schedule import MASKED_SHARE, quota


def accepted_per_step(schedule: Schedule, opened: int, max_steps: int) -> list[int]:
    masked = opened
    counts: list[int] = []
    while masked:
        counts.append(quota(schedule, len(counts), max_steps, opened, masked))
        masked -= counts[-1]
    return counts


def test_linear_spreads_the_canvas_evenly() -> None:
    assert accepted_per_step("linear", 32, 8) == [4] * 8


def test_cosine_starts_slowly() -> None:
    counts = accepted_per_step("cosine", 256, 8)
    assert counts[0] < counts[-1]
    assert counts == sorted(counts)


def test_a_canvas_ahead_of_its_schedule_owes_one() -> None:
    assert quota("linear", 0, 8, opened=32, masked=5) == 1


@pytest.mark.parametrize("schedule", MASKED_SHARE)
def test_shares_run_from_all_to_nothing(schedule: Schedule) -> None:
    assert MASKED_SHARE[schedule](0.0) == 1.0
    assert MASKED_SHARE[schedule](1.0) == pytest.approx(0.0, abs=1e-9)


@given(st.sampled_from(["linear", "cosine"]), st.integers(1, 300), st.integers(1, 300))
def test_every_step_makes_progress_and_the_bound_holds(schedule: Schedule, opened: int, max_steps: int) -> None:
    counts = accepted_per_step(schedule, opened, max_steps)
    assert sum(counts) == opened
    assert min(counts) >= 1
    assert len(counts) <= max_steps
