from __future__ import annotations

from typing import Any, get_args

import pytest

from loadtest.figures.names import Figure
from loadtest.figures.results import results
from loadtest.gates.verdict import DISTURBED, MISSING, verdicts
from loadtest.scenario.scenario import Gate
from tests.loadtest.cases import sample, scenario

RESULTS = results(scenario(), [sample(), sample(kind="unary", seconds=4.0, outcome="mismatch")], [0.0] * 2, None)


def passed(**gate: Any) -> bool:
    *_, last = verdicts([Gate(**gate)], RESULTS, 0)
    return last.passed


def test_a_gate_bounds_a_figure_on_either_side() -> None:
    assert passed(figure="failed", most=1)
    assert not passed(figure="failed", most=0)
    assert passed(figure="good_share", least=0.5)
    assert not passed(figure="good_share", least=0.51)
    assert not passed(figure="good_share", least=0.4, most=0.45)


def test_a_gate_may_be_for_a_part_of_the_requests() -> None:
    assert passed(figure="failed", most=0, kind="chat_stream")
    assert not passed(figure="failed", most=0, kind="unary")
    assert not passed(figure="failed", most=0, tenant="acme")


@pytest.mark.parametrize("gate", [{"kind": "job"}, {"band": "flex"}, {"tenant": "nobody"}])
def test_what_was_not_measured_does_not_pass(gate: dict[str, Any]) -> None:
    assert not passed(figure="failed", most=0, **gate)
    assert not passed(figure="max_lag", most=1e9)
    assert not passed(figure="p99_queue_seconds", most=1e9)


def test_every_figure_that_can_be_named_can_be_seen() -> None:
    found = results(scenario(), [sample(queue_seconds=0.1, shown=1, survived=1)], [0.0], 0.0)
    gates = [Gate(figure=name, least=-1.0) for name in get_args(Figure)]
    assert [verdict.gate for verdict in verdicts(gates, found, 0) if not verdict.passed] == []


def test_a_request_without_a_result_and_a_failed_disturbance_fail_every_test() -> None:
    found = results(scenario(), [sample()], [0.0] * 2, None)
    assert [each.gate for each in verdicts([], found, 1) if not each.passed] == [MISSING, DISTURBED]
    assert all(each.passed for each in verdicts([], RESULTS, 0))
