from __future__ import annotations

from math import isnan

import pytest

from loadtest.figures.results import results
from loadtest.figures.sample import Sample
from loadtest.figures.summary import is_good, summary
from loadtest.scenario.scenario import Objective
from tests.loadtest.cases import sample, scenario

SAMPLES = [
    sample(number=0, due=5.0, outcome="unfinished"),
    sample(number=1),
    sample(number=2, outcome="rate_limit_exceeded"),
    sample(number=3, outcome="internal_error", detail="a defect", tenant="umbrella"),
    sample(number=4, kind="cancelling", seconds=90.0),
    sample(number=5, tenant="umbrella", band="flex", kind="unary", first_commit=None, gaps=(), seconds=3.0),
]
LIMITS = {"default": Objective(first_commit_seconds=0.5, seconds=2.0), "flex": Objective(seconds=2.0)}
TENANTS = [{"name": "acme", "weight": 2.0}, {"name": "umbrella"}]


@pytest.mark.parametrize(
    ("one", "good"),
    [
        (sample(), True),
        (sample(seconds=2.1), False),
        (sample(first_commit=0.6), False),
        (sample(first_commit=None), True),
        (sample(outcome="mismatch"), False),
        (sample(band="interactive", seconds=60.0), True),
    ],
)
def test_an_answer_is_good_that_is_right_and_within_the_objective_of_its_band(one: Sample, good: bool) -> None:
    assert is_good(one, LIMITS) is good  # type: ignore[arg-type]


def test_a_summary_counts_everything_and_measures_what_is_the_services() -> None:
    found = summary(SAMPLES[1:], LIMITS, 10.0)  # type: ignore[arg-type]
    assert (found.requests, found.answered, found.refused, found.failed) == (5, 3, 1, 1)
    assert (found.failed_share, found.refused_share) == (0.2, 0.2)
    assert (found.good_share, found.good_per_second) == (0.25, 0.1)
    assert found.good_share_least < 0.25 < found.good_share_most
    assert found.p99_seconds == 3.0
    assert (found.p50_first_commit_seconds, found.p99_gap_seconds) == (0.25, 0.5)
    assert (found.tokens_per_second, found.tokens_per_forward, found.steps_per_canvas) == (2.0, 2.0, 4.0)
    assert found.p50_seconds_per_token == pytest.approx(0.1)
    assert isnan(found.p99_queue_seconds)


def test_results_are_of_what_was_due_behind_the_warm_up() -> None:
    found = results(scenario(tenants=TENANTS), SAMPLES, [0.0] * 8, 12.0)
    assert found.whole.requests == 5
    assert {name: each.requests for name, each in found.tenants.items()} == {"acme": 3, "umbrella": 2}
    assert set(found.kinds) == {"cancelling", "chat_stream", "unary"}
    assert found.outcomes == {"ok": 3, "rate_limit_exceeded": 1, "internal_error": 1}
    assert found.examples["internal_error"] == "a defect"
    assert found.missing == 2
    assert found.fairness.services == {"acme": 150.0, "umbrella": 200.0}
    assert found.fairness.jain == pytest.approx(350**2 / (2 * (150**2 + 200**2)))
    assert found.fairness.max_lag == 12.0


def test_a_sample_survives_the_way_from_a_worker() -> None:
    assert Sample.of_json(sample().as_json() | {"gaps": [0.25, 0.5]}) == sample()
