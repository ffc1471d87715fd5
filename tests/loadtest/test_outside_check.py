from __future__ import annotations

import json
from pathlib import Path

from loadtest.outside_check import SCENARIO, figures_of, trace_lines
from loadtest.scenario.scenario import load_scenario


def test_the_trace_has_the_bodies_and_the_moments_of_our_requests() -> None:
    lines = [json.loads(line) for line in trace_lines(load_scenario(SCENARIO), Path())]
    moments = [line["timestamp"] for line in lines]
    assert moments == sorted(moments)
    assert 1000 < moments[-1] < 60_000
    assert {line["payload"]["stream"] for line in lines} == {True}
    assert len({json.dumps(line["payload"]["messages"]) for line in lines}) == len(lines)


def test_figures_are_in_seconds_and_those_that_are_not_there_are_unknown() -> None:
    figures = figures_of({"time_to_first_token": {"p50": 250.0, "p99": 1500.0}, "request_count": {"avg": 7.0}})
    assert (figures["first text p50 (s)"], figures["first text p99 (s)"], figures["requests"]) == (0.25, 1.5, 7.0)
    assert figures["whole answer p50 (s)"] is None
