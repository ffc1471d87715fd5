from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm_worker.scheduling.planner import StepBudget
from dllm_worker.scheduling.simulator import (
    LOADS,
    PLACES,
    Arrival,
    ArrivalGrouping,
    Load,
    PhaseMixing,
    Scheduler,
    compare,
    draw,
    main,
    simulate,
)
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.profile import Profile, position_forwards

CLOCKWORK = SimulatedDevice(floor_seconds=1.0, per_position_seconds=0.0, per_segment_seconds=0.0)
BOTH: tuple[Scheduler, ...] = (PhaseMixing(), ArrivalGrouping())


def latencies(arrivals: list[Arrival], scheduler: Scheduler, places: int = 8) -> list[float]:
    trace = simulate(arrivals, scheduler, CLOCKWORK, StepBudget(1024, 1024), places)
    return [trace.latencies[str(i)] for i in range(len(arrivals))]


def arrival(at: float, prompt: int, canvas_length: int, steps: tuple[int, ...], every: int | None = None) -> Arrival:
    return Arrival(at, Profile(prompt, (canvas_length,) * len(steps), steps, every))


def test_a_group_holds_back_who_comes_later() -> None:
    long, late = arrival(0.0, 32, 32, (3,)), arrival(0.5, 32, 32, (1,))
    assert latencies([long, late], PhaseMixing()) == [4.0, 2.5]
    assert latencies([long, late], ArrivalGrouping()) == [4.0, 5.5]


def test_a_group_runs_in_lockstep() -> None:
    early, slow = arrival(0.0, 32, 32, (1, 1)), arrival(0.0, 32, 32, (3, 1))
    assert latencies([early, slow], PhaseMixing()) == [4.0, 6.0]
    assert latencies([early, slow], ArrivalGrouping()) == [6.0, 6.0]


@pytest.mark.parametrize("scheduler", BOTH, ids=lambda scheduler: scheduler.name)
def test_places_bound_who_runs_together(scheduler: Scheduler) -> None:
    assert latencies([arrival(0.0, 32, 32, (2,))] * 3, scheduler, places=1) == [3.0, 6.0, 9.0]


arrivals = st.lists(
    st.builds(
        arrival,
        at=st.floats(0, 1),
        prompt=st.integers(1, 1500),
        canvas_length=st.sampled_from([32, 256]),
        steps=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
        every=st.none() | st.integers(1, 4),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(arrivals, st.integers(1, 4), st.sampled_from(BOTH))
def test_a_scheduler_changes_when_rows_are_evaluated_and_not_which(
    drawn: list[Arrival], places: int, scheduler: Scheduler
) -> None:
    ordered = sorted(drawn, key=lambda arrival: arrival.at)
    device = SimulatedDevice()
    trace = simulate(ordered, scheduler, device, StepBudget(256), places)
    assert sum(trace.positions) == sum(position_forwards(arrival.profile) for arrival in ordered)
    assert len(trace.latencies) == len(ordered)
    for i, arrival in enumerate(ordered):
        assert trace.latencies[str(i)] >= position_forwards(arrival.profile) * device.per_position_seconds
    ends = [arrival.at + trace.latencies[str(i)] for i, arrival in enumerate(ordered)]
    assert trace.end == pytest.approx(max(ends))


def test_a_load_is_drawn_from_its_seed() -> None:
    load, device = LOADS[0], SimulatedDevice()
    drawn = draw(load, 100, device, seed=3)
    assert drawn == draw(load, 100, device, seed=3)
    assert drawn != draw(load, 100, device, seed=4)
    work = sum(position_forwards(arrival.profile) for arrival in drawn) * device.per_position_seconds
    assert work / drawn[-1].at == pytest.approx(load.utilization)
    assert {arrival.profile.refresh_every for arrival in drawn} == {None, load.refresh_every}
    assert all(1 <= step <= load.canvas_length for arrival in drawn for step in arrival.profile.steps)
    assert len({step for arrival in drawn for step in arrival.profile.steps}) > 10


def test_bursts_arrive_at_once() -> None:
    drawn = draw(replace(LOADS[0], burst_share=1.0, burst=5), 20, SimulatedDevice(), seed=0)
    assert len({arrival.at for arrival in drawn}) == 4
    alone = draw(replace(LOADS[0], burst_share=0.0), 20, SimulatedDevice(), seed=0)
    assert len({arrival.at for arrival in alone}) == 20


@pytest.mark.parametrize("load", LOADS[:3], ids=lambda load: load.name)
def test_the_planner_swings_less_and_its_tail_is_shorter(load: Load) -> None:
    tails: dict[str, list[float]] = {scheduler.name: [] for scheduler in BOTH}
    for seed in range(4):
        drawn = draw(load, 250, SimulatedDevice(), seed)
        swings = []
        for scheduler in BOTH:
            trace = simulate(drawn, scheduler, SimulatedDevice(), StepBudget(), PLACES)
            tails[scheduler.name] += trace.latencies.values()
            swings.append(np.std(trace.positions) / np.mean(trace.positions))
        assert swings[0] < 0.95 * swings[1]
    planner, groups = (np.percentile(tail, (50, 99)) for tail in tails.values())
    assert planner[0] < groups[0]
    assert planner[1] < groups[1]


def test_both_schedulers_are_told_apart_in_every_figure() -> None:
    planner, groups = compare(LOADS[2], 100, seed=1)
    assert (planner.scheduler, groups.scheduler) == ("planner", "arrival groups")
    assert planner.p50_latency <= planner.p99_latency
    assert planner.positions_per_step > groups.positions_per_step
    assert planner.answer_per_second >= groups.answer_per_second
    assert 0 < planner.device_busy <= groups.device_busy <= 1


def test_the_command_prints_a_table_or_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["simulator", "--seed", "2", "--requests", "20"]
    monkeypatch.setattr(sys, "argv", command)
    main()
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + 2 * len(LOADS)
    assert table[0].startswith("| load | scheduler | p50 latency | p99 latency |")
    monkeypatch.setattr(sys, "argv", [*command, "--json"])
    main()
    rows = json.loads(capsys.readouterr().out)
    assert [(row["load"], row["scheduler"]) for row in rows] == [(load.name, by.name) for load in LOADS for by in BOTH]
    assert table[2].split("|")[3].strip() == f"{rows[0]['p50_latency']:.3g}"
