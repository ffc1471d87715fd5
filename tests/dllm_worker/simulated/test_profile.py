from __future__ import annotations

import pytest

from dllm_worker.scheduling.planner import StepKind
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.profile import Profile, Progress, position_forwards


def passes(progress: Progress) -> list[tuple[StepKind, int]]:
    taken = []
    while not progress.has_ended:
        taken.append((progress.kind, progress.demand.positions))
        progress.serve(progress.demand.positions, 1)
    return taken


def test_a_pass_costs_its_arithmetic_or_the_weights_and_its_segments() -> None:
    device = SimulatedDevice(floor_seconds=5.0, per_position_seconds=0.1, per_segment_seconds=0.25)
    assert device.seconds(10, 1) == 5.25
    assert device.seconds(100, 4) == 11.0


def test_an_exact_cache_is_prefilled_once_and_canvases_but_the_last_are_committed() -> None:
    profile = Profile(prompt=50, lengths=(32, 20), steps=(2, 1))
    prefill, reuse, commit = (StepKind.PREFILL, 50), (StepKind.REUSE, 32), (StepKind.COMMIT, 32)
    assert passes(Progress("a", profile)) == [prefill, reuse, reuse, commit, (StepKind.REUSE, 20)]
    assert position_forwards(profile) == 50 + 3 * 32 + 20


def test_an_approximate_cache_is_refreshed_as_it_opens_a_canvas_and_every_few_steps() -> None:
    profile = Profile(prompt=50, lengths=(32, 32), steps=(4, 1), refresh_every=3)
    refresh, reuse = (StepKind.REFRESH, 114), (StepKind.REUSE, 32)
    assert passes(Progress("a", profile)) == [refresh, reuse, reuse, refresh, refresh]


def test_one_that_goes_on_prefills_what_lies_before_its_canvas() -> None:
    profile = Profile(prompt=50, lengths=(32, 32, 32), steps=(2, 3, 1))
    commit, reuse = (StepKind.COMMIT, 32), (StepKind.REUSE, 32)
    rest = passes(Progress("a", profile, canvas=1, step=1))
    assert rest == [(StepKind.PREFILL, 82), reuse, reuse, commit, reuse]


@pytest.mark.parametrize(("lengths", "steps"), [((), ()), ((32,), (1, 1)), ((32,), (0,)), ((0,), (1,))])
def test_a_course_without_canvases_or_steps_is_none(lengths: tuple[int, ...], steps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="steps"):
        Profile(10, lengths, steps)
