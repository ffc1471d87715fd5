from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.activity.ladder import COUNTERS, IDLE, TensorActivity, choose
from deployments.activity.source import Reading
from deployments.autoscaling.config import ActivitySource

ORDER: tuple[ActivitySource, ...] = ("gpm", "dcgm", "estimate")
PLATEAUS: dict[ActivitySource, float] = {"gpm": 0.8, "dcgm": 0.7, "estimate": 0.5}


def test_the_first_fresh_source_counts() -> None:
    readings: dict[ActivitySource, Reading] = {
        "gpm": Reading(0.4, 89.0),
        "dcgm": Reading(0.35, 91.0),
        "estimate": Reading(0.28, 100.0),
    }
    assert choose(readings, ORDER, PLATEAUS, 80.0) == TensorActivity("gpm", 0.4, 0.5, 0.28 / 0.4, 89.0)
    assert choose(readings, ORDER, PLATEAUS, 90.0) == TensorActivity("dcgm", 0.35, 0.5, 0.28 / 0.35, 91.0)
    assert choose(readings, ORDER, PLATEAUS, 95.0) == TensorActivity("estimate", 0.28, 0.56, None, 100.0)
    assert choose(readings, ORDER, PLATEAUS, 101.0) is None
    chosen = choose(readings, ("estimate", "gpm"), PLATEAUS, 80.0)
    assert chosen is not None
    assert chosen.source == "estimate"


@pytest.mark.parametrize(
    ("plateaus", "load"),
    [
        ({"gpm": 0.8, "estimate": 0.5}, 0.4 / 0.8),
        ({"estimate": 0.5}, 0.4 / 0.5),
        ({"estimate": 0.0}, 0.4),
        ({}, 0.4),
    ],
)
def test_a_plateau_that_was_not_found_is_that_of_what_is_most_like_it(
    plateaus: dict[ActivitySource, float], load: float
) -> None:
    chosen = choose({"dcgm": Reading(0.4, 0.0)}, ORDER, plateaus, 0.0)
    assert chosen is not None
    assert chosen.load == pytest.approx(load)


def test_an_idle_device_agrees_with_everything() -> None:
    readings: dict[ActivitySource, Reading] = {"gpm": Reading(IDLE / 2, 0.0), "estimate": Reading(0.0, 0.0)}
    chosen = choose(readings, ORDER, PLATEAUS, 0.0)
    assert chosen is not None
    assert chosen.agreement is None


@given(
    st.dictionaries(
        st.sampled_from(ORDER), st.builds(Reading, st.floats(0, 1), st.floats(0, 100)), max_size=len(ORDER)
    ),
    st.permutations(ORDER),
    st.floats(0, 100),
)
def test_whatever_was_read_the_choice_is_the_first_that_is_fresh(
    readings: dict[ActivitySource, Reading], order: list[ActivitySource], oldest: float
) -> None:
    chosen = choose(readings, order, PLATEAUS, oldest)
    fresh = [name for name in order if name in readings and readings[name].at >= oldest]
    if chosen is None:
        assert not fresh
    else:
        assert chosen.source == fresh[0]
        assert chosen.activity == readings[fresh[0]].value
        assert (chosen.agreement is not None) <= (set(COUNTERS) & set(fresh) != set() and "estimate" in fresh)
