"""What runs that ended teach about the next ones."""

from __future__ import annotations

import pytest

from deployments.routing.pace import TOKENS_PER_STEP, Pace
from dllm_worker.request import Usage

USAGE = Usage(completion_tokens=60, denoising_steps=10)


def test_the_first_run_sets_the_rate_and_later_ones_move_it() -> None:
    first = Pace().after(USAGE, work=300, seconds=3.0)
    assert first.rate == 100.0
    assert 100.0 < first.after(USAGE, work=600, seconds=3.0).rate < 200.0


def test_it_comes_to_what_runs_are_like() -> None:
    pace = Pace()
    assert pace.tokens_per_step == TOKENS_PER_STEP
    for _ in range(200):
        pace = pace.after(USAGE, work=300, seconds=2.0)
    assert pace.tokens_per_step == pytest.approx(6.0, rel=0.01)
    assert pace.rate == pytest.approx(150.0, rel=0.01)


def test_a_run_without_tokens_or_time_changes_nothing() -> None:
    assert Pace().after(Usage(), work=300, seconds=0.0) == Pace()
