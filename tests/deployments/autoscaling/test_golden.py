"""Decisions on recorded traces, word for word."""

from __future__ import annotations

from itertools import pairwise

import pytest

from deployments.autoscaling.trace import Trace, read_trace
from tests.deployments.autoscaling.scenarios import MONDAY, TRACES, decided_again, told

NAMES = sorted(file.stem for file in TRACES.glob("*.jsonl"))


def golden(name: str) -> Trace:
    return read_trace((TRACES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())


def sizes(trace: Trace, pool: str, start: float, end: float) -> list[int]:
    return [each.verdicts[pool].after for each in trace.decisions if start <= each.at < end]


def test_every_kind_of_trace_is_there() -> None:
    virtual = {"step", "ramp", "diurnal", "flapping"}
    assert {*virtual, "stale", "lost_replicas", "zero", "two_types", "schedule"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_decided_is_what_was_recorded(name: str) -> None:
    trace = golden(name)
    assert told(decided_again(trace)).decisions == trace.decisions


def test_a_step_is_followed_up_and_down() -> None:
    trace = decided_again(golden("step"))
    assert max(sizes(trace, "pool", 100, 160)) >= 6
    assert max(sizes(trace, "pool", 450, 600)) <= 2


def test_a_demand_that_flaps_is_not_followed() -> None:
    found = sizes(decided_again(golden("flapping")), "pool", 60, 600)
    changes = [after - before for before, after in pairwise(found) if before != after]
    turns = sum((before > 0) != (after > 0) for before, after in pairwise(changes))
    assert turns <= 6, "the demand turns thirty times"


def test_nothing_shrinks_while_figures_are_stale_and_it_does_afterwards() -> None:
    trace = decided_again(golden("stale"))
    assert set(sizes(trace, "a", 100, 250)) == {4}
    assert {each.verdicts["a"].bound for each in trace.decisions if 100 <= each.at < 250} == {"stale"}
    assert sizes(trace, "a", 0, 400)[-1] == 1


def test_lost_replicas_are_asked_for_again_and_silent_ones_are_not_taken_away() -> None:
    trace = decided_again(golden("lost_replicas"))
    assert set(sizes(trace, "a", 100, 250)) == {4}
    assert sizes(trace, "a", 0, 400)[-1] == 3, "two of the four are silent, and one does what is left"


def test_a_pool_sleeps_when_it_was_idle_and_wakes_for_the_first_request() -> None:
    trace = decided_again(golden("zero"))
    assert set(sizes(trace, "a", 0, 50)) == {0}
    assert sizes(trace, "a", 50, 55) == [1]
    assert set(sizes(trace, "a", 120, 180)) == {1}
    assert set(sizes(trace, "a", 180, 300)) == {0}
    assert sizes(trace, "a", 300, 305) == [1]


def test_the_cheaper_type_grows_first_and_shrinks_last() -> None:
    trace = decided_again(golden("two_types"))
    assert set(sizes(trace, "h100", 0, 110)) == {0}
    assert max(sizes(trace, "h100", 110, 300)) == 2
    assert sizes(trace, "l4", 110, 300)[0] == 4
    assert (sizes(trace, "l4", 450, 500)[-1], sizes(trace, "h100", 450, 500)[-1]) == (1, 0)


def test_a_floor_holds_over_midnight() -> None:
    trace = decided_again(golden("schedule"))
    hour = 3600.0
    assert set(sizes(trace, "a", MONDAY, MONDAY + 22 * hour)) == {1}
    assert set(sizes(trace, "a", MONDAY + 22 * hour, MONDAY + 26 * hour)) == {4}
    assert sizes(trace, "a", MONDAY + 26 * hour, MONDAY + 30 * hour)[-1] == 1
