from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.planner import Demand, PlannedRows, StepKind, plan


def reuse(name: str, positions: int = 32, since: int = 0) -> Demand:
    return Demand(name, StepKind.REUSE, positions, 32, since)


def prefill(name: str, positions: int, since: int = 0) -> Demand:
    return Demand(name, StepKind.PREFILL, positions, 32, since)


def test_running_canvases_come_before_prefills() -> None:
    rows = plan([prefill("p", 64, since=1), reuse("a"), reuse("b", since=1)], 96)
    assert rows == (
        PlannedRows("a", StepKind.REUSE, 32),
        PlannedRows("b", StepKind.REUSE, 32),
        PlannedRows("p", StepKind.PREFILL, 32),
    )


def test_prefill_is_cut_in_whole_grains() -> None:
    assert plan([prefill("p", 320)], 100) == (PlannedRows("p", StepKind.PREFILL, 96),)


def test_what_does_not_fit_is_passed_over() -> None:
    rows = plan([reuse("a", 32), reuse("wide", 81), reuse("b", 32)], 64)
    assert [row.request_id for row in rows] == ["a", "b"]


def test_the_longest_waiting_is_served_even_above_the_budget() -> None:
    assert plan([reuse("wide", 81, since=1), reuse("a", 32, since=2)], 40) == (PlannedRows("wide", StepKind.REUSE, 81),)
    assert plan([prefill("p", 64)], 10) == (PlannedRows("p", StepKind.PREFILL, 32),)


def test_without_demand_there_is_nothing_to_do() -> None:
    assert plan([], 100) == ()


demands = st.lists(
    st.builds(
        Demand,
        request_id=st.uuids().map(str),
        kind=st.sampled_from(StepKind),
        positions=st.integers(1, 200),
        grain=st.just(16),
        waited_since=st.integers(0, 20),
    ),
    min_size=1,
    max_size=12,
)


@given(demands, st.integers(1, 300))
def test_the_budget_holds_and_the_longest_waiting_is_in(given_demands: list[Demand], budget: int) -> None:
    rows = plan(given_demands, budget)
    assert rows
    assert len({row.request_id for row in rows}) == len(rows)
    assert len(rows) == 1 or sum(row.positions for row in rows) <= budget
    longest = min(demand.waited_since for demand in given_demands)
    assert {row.request_id for row in rows} & {d.request_id for d in given_demands if d.waited_since == longest}
