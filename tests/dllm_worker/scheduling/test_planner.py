from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm_worker.scheduling.planner import (
    Demand,
    Occupant,
    PlannedRows,
    StepBudget,
    StepKind,
    Waiter,
    admission_order,
    plan,
    preempt,
)

GRAIN = 32


def reuse(name: str, positions: int = 32, since: int = 0, priority: int = 0, deadline: float | None = None) -> Demand:
    return Demand(name, StepKind.REUSE, positions, positions, 0, since, priority, deadline)


def refresh(name: str, positions: int, since: int = 0, priority: int = 0, deadline: float | None = None) -> Demand:
    return Demand(name, StepKind.REFRESH, positions, positions, 0, since, priority, deadline)


def prefill(name: str, positions: int, since: int = 0, first: int = GRAIN) -> Demand:
    return Demand(name, StepKind.PREFILL, positions, first, GRAIN, since)


def served(demands: list[Demand], positions: int, refresh_positions: int | None = None) -> dict[str, int]:
    return {rows.request_id: rows.positions for rows in plan(demands, StepBudget(positions, refresh_positions))}


def test_reuse_rows_come_before_the_refresh_phase() -> None:
    rows = plan([prefill("p", 64, since=1), reuse("a"), reuse("b", since=1)], StepBudget(96))
    assert rows == (
        PlannedRows("a", StepKind.REUSE, 32),
        PlannedRows("b", StepKind.REUSE, 32),
        PlannedRows("p", StepKind.PREFILL, 32),
    )


def test_a_prefill_is_cut_where_it_may_be() -> None:
    assert served([prefill("p", 320)], 100) == {"p": 96}
    assert served([prefill("p", 320, first=5)], 100) == {"p": 69}
    assert served([prefill("p", 100)], 100) == {"p": 100}
    assert served([prefill("p", 320)], 10) == {"p": 32}


def test_what_does_not_fit_is_passed_over() -> None:
    assert served([reuse("a"), reuse("wide", 81), reuse("b")], 64) == {"a": 32, "b": 32}


def test_the_longest_waiting_is_served_even_above_the_budget() -> None:
    assert served([reuse("wide", 81, since=1), reuse("a", 32, since=2)], 40) == {"wide": 81}


def test_the_longest_waiting_prefill_grows_by_what_reuse_leaves() -> None:
    demands = [prefill("p", 640, since=0), reuse("a", since=1), reuse("b", since=1)]
    assert served(demands, 256, 192) == {"a": 32, "b": 32, "p": 192}
    assert served(demands, 96, 96) == {"a": 32, "b": 32, "p": 32}
    assert served(demands, 256, 64) == {"a": 32, "b": 32, "p": 64}


def test_the_refresh_phase_keeps_to_its_share_beside_reuse() -> None:
    due = [refresh(name, 100) for name in "xyz"]
    assert served([reuse("a"), *due], 1000, 200) == {"a": 32, "x": 100, "y": 100}
    assert served([reuse("a"), *due], 1000) == {"a": 32, "x": 100, "y": 100}
    assert served(due, 1000, 200) == {"x": 100, "y": 100, "z": 100}


def test_a_refresh_above_the_share_is_the_only_one_of_its_step() -> None:
    assert served([reuse("a"), refresh("x", 300), refresh("y", 300), prefill("p", 64)], 1000, 200) == {
        "a": 32,
        "x": 300,
    }


def test_refreshes_that_fall_due_together_stay_apart_afterwards() -> None:
    every, since, steps = 8, dict.fromkeys("abcd", 0), dict.fromkeys("abcd", 0)
    bunches: list[int] = []
    for number in range(1, 60):
        demands = [reuse("r", since=number - 1)] + [
            reuse(name, since=since[name]) if steps[name] % every else refresh(name, 200, since[name]) for name in since
        ]
        rows = plan(demands, StepBudget(1024))
        bunches.append(sum(row.kind is StepKind.REFRESH for row in rows))
        for row in rows:
            if row.request_id in since:
                since[row.request_id], steps[row.request_id] = number, steps[row.request_id] + 1
    assert max(bunches) == 1
    assert sum(bunches) >= 4 * (59 // (every + 4))


def test_priority_then_deadline_then_wait_decide_who_is_first() -> None:
    later, sooner = reuse("later", since=3, deadline=9.0), reuse("sooner", since=3, deadline=5.0)
    none, waited = reuse("none", since=3), reuse("waited", since=2)
    high, longest = refresh("high", 32, since=3, priority=1), reuse("longest", since=0, priority=-1)
    demands = [none, waited, later, sooner, high, longest]
    assert list(served(demands, 32)) == ["longest"]
    assert list(served(demands, 64)) == ["high", "longest"]
    assert list(served(demands, 96)) == ["high", "sooner", "longest"]
    assert list(served(demands, 128)) == ["high", "sooner", "later", "longest"]
    assert list(served(demands, 160)) == ["high", "sooner", "later", "waited", "longest"]


def test_without_demand_there_is_nothing_to_do() -> None:
    assert plan([], StepBudget()) == ()


@pytest.mark.parametrize(("positions", "first", "grain"), [(0, 0, 0), (8, 0, 4), (8, 9, 4), (8, 4, -1)])
def test_a_demand_that_cannot_be_cut_is_refused(positions: int, first: int, grain: int) -> None:
    with pytest.raises(ValueError, match=f"first={first} of {positions}"):
        Demand("a", StepKind.PREFILL, positions, first, grain, 0)


@st.composite
def a_demand(draw: st.DrawFn, name: str, since: int) -> Demand:
    positions = draw(st.integers(1, 200))
    grain = draw(st.sampled_from([0, 1, 16]))
    first = draw(st.integers(1, positions)) if grain else positions
    deadline = draw(st.none() | st.floats(0, 10))
    return Demand(
        name, draw(st.sampled_from(StepKind)), positions, first, grain, since, draw(st.integers(0, 2)), deadline
    )


@st.composite
def some_demands(draw: st.DrawFn) -> list[Demand]:
    return [draw(a_demand(str(i), draw(st.integers(0, 9)))) for i in range(draw(st.integers(1, 10)))]


budgets = st.builds(StepBudget, st.integers(1, 300), st.none() | st.integers(0, 300))


@given(some_demands(), budgets)
def test_a_pass_holds_allowed_pieces_within_its_budget_and_share(demands: list[Demand], budget: StepBudget) -> None:
    rows = plan(demands, budget)
    by_name = {demand.request_id: demand for demand in demands}
    assert len({row.request_id for row in rows}) == len(rows) > 0
    for row in rows:
        demand = by_name[row.request_id]
        cuts = range(demand.first, demand.positions, demand.grain) if demand.grain else ()
        assert row.kind is demand.kind
        assert row.positions in (*cuts, demand.positions)
    assert len(rows) == 1 or sum(row.positions for row in rows) <= budget.positions
    heavy = [row.positions for row in rows if row.kind is not StepKind.REUSE]
    if any(demand.kind is StepKind.REUSE for demand in demands):
        assert len(heavy) <= 1 or sum(heavy) <= budget.refresh_share


@given(some_demands(), budgets)
def test_nobody_is_left_out_who_would_have_fitted(demands: list[Demand], budget: StepBudget) -> None:
    rows = plan(demands, budget)
    room = budget.positions - sum(row.positions for row in rows)
    heavy = sum(row.positions for row in rows if row.kind is not StepKind.REUSE)
    mixed = any(demand.kind is StepKind.REUSE for demand in demands)
    for demand in demands:
        if demand.request_id not in {row.request_id for row in rows} and demand.smallest <= room:
            assert demand.kind is not StepKind.REUSE
            assert mixed
            assert heavy
            assert heavy + demand.smallest > budget.refresh_share


@given(some_demands(), budgets)
def test_the_order_given_matters_only_between_equals(demands: list[Demand], budget: StepBudget) -> None:
    distinct = [replace(demand, waited_since=since) for since, demand in enumerate(demands)]
    assert plan(reversed(distinct), budget) == plan(distinct, budget)


@settings(max_examples=50, deadline=None)
@given(st.data(), st.integers(1, 6), budgets)
def test_nobody_waits_longer_than_there_are_demands(data: st.DataObject, count: int, budget: StepBudget) -> None:
    since = {str(i): 0 for i in range(count)}
    for number in range(1, 2 * count + 2):
        demands = [data.draw(a_demand(name, since[name])) for name in since]
        for row in plan(demands, budget):
            since[row.request_id] = number
        assert all(number - last < count for last in since.values())


def test_admission_goes_by_priority_then_deadline_then_arrival() -> None:
    waiting = [
        Waiter("late", 0, None, 1, arrived=5),
        Waiter("early", 0, None, 1, arrived=2),
        Waiter("due", 0, 9.0, 1, arrived=7),
        Waiter("sooner", 0, 3.0, 1, arrived=8),
        Waiter("high", 1, None, 1, arrived=9),
    ]
    assert [waiter.request_id for waiter in admission_order(waiting)] == ["high", "sooner", "due", "early", "late"]


def waiter(pages: int, priority: int = 1) -> Waiter:
    return Waiter("w", priority, None, pages, 0)


def test_who_fits_parks_nobody_and_neither_does_who_never_will() -> None:
    running = [Occupant("a", 0, None, 4, 0), Occupant("peer", 1, None, 9, 0)]
    assert preempt(waiter(3), running, free_places=1, free_pages=3) == ()
    assert preempt(waiter(8), running, free_places=1, free_pages=3) == ()
    assert preempt(waiter(1, priority=0), running, free_places=0, free_pages=3) == ()
    assert preempt(waiter(7), running, free_places=1, free_pages=3) == ("a",)


def test_a_place_is_worth_a_request_even_when_pages_are_free() -> None:
    running = [Occupant("a", 0, None, 0, 0), Occupant("b", 0, None, 0, 1)]
    assert preempt(waiter(1), running, free_places=0, free_pages=9) == ("b",)


def test_the_lowest_the_latest_due_and_the_youngest_are_parked_first() -> None:
    running = [
        Occupant("due", 0, 5.0, 1, 9),
        Occupant("old", 0, None, 1, 1),
        Occupant("young", 0, None, 1, 2),
        Occupant("lowest", -1, 1.0, 1, 0),
    ]
    assert preempt(waiter(1), running, 0, 0) == ("lowest",)
    assert preempt(waiter(2), running, 0, 0) == ("lowest", "young")
    assert preempt(waiter(4), running, 0, 0) == ("lowest", "young", "old", "due")


def test_one_large_request_is_parked_rather_than_two_small_ones() -> None:
    running = [Occupant("small", -1, None, 2, 1), Occupant("tiny", -1, None, 1, 2), Occupant("large", 0, None, 4, 0)]
    assert preempt(waiter(3), running, 0, 0) == ("large",)
    assert preempt(waiter(6), running, 0, 0) == ("small", "large")


occupants = st.lists(
    st.builds(
        Occupant,
        st.uuids().map(str),
        st.integers(0, 2),
        st.none() | st.floats(0, 9),
        st.integers(0, 5),
        st.integers(0, 9),
    ),
    max_size=7,
)


@given(occupants, st.integers(0, 12), st.integers(0, 3), st.integers(0, 1), st.integers(0, 5))
def test_as_few_as_possible_are_parked(
    running: list[Occupant], pages: int, priority: int, free_places: int, free_pages: int
) -> None:
    parked = preempt(waiter(pages, priority), running, free_places, free_pages)
    lower = [occupant for occupant in running if occupant.priority < priority]
    sizes = [
        count
        for count in range(len(lower) + 1)
        for chosen in combinations(lower, count)
        if free_places + count > 0 and free_pages + sum(occupant.pages for occupant in chosen) >= pages
    ]
    assert len(parked) == min(sizes, default=0)
    freed = [occupant for occupant in lower if occupant.request_id in parked]
    assert len(freed) == len(parked)
    if sizes:
        assert free_places + len(freed) > 0
        assert free_pages + sum(occupant.pages for occupant in freed) >= pages
