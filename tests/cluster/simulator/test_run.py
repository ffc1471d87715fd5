from __future__ import annotations

import json
import sys
from dataclasses import replace
from statistics import fmean

import pytest

from cluster.simulator.__main__ import DEVICE, LIMITS, main
from cluster.simulator.outcome import Outcome
from cluster.simulator.routers import ROUTERS
from cluster.simulator.run import Scenario, simulate
from cluster.simulator.workload import Load, draw
from dllm_worker.models.checkpoint import describe, resolve_checkpoint

SPEC = describe(resolve_checkpoint("embedded:tiny-code")).spec
FOUR = Scenario(4, device=DEVICE, limits=LIMITS)


def outcomes(router: str, scenario: Scenario = FOUR, requests: int = 120) -> list[Outcome]:
    traces = [draw(Load(), SPEC, scenario.device, scenario.replicas, requests, seed) for seed in range(3)]
    return [simulate(scenario, SPEC, trace, router, seed) for seed, trace in enumerate(traces)]


def test_it_is_the_same_for_the_same_seed() -> None:
    trace = draw(Load(), SPEC, DEVICE, 4, 40, seed=0)
    assert simulate(FOUR, SPEC, trace, "phase", 1) == simulate(FOUR, SPEC, trace, "phase", 1)


@pytest.mark.parametrize("router", ROUTERS)
def test_every_request_ends_under_every_router(router: str) -> None:
    scenario = replace(FOUR, gateways=2)
    trace = draw(Load(), SPEC, DEVICE, 4, 60, seed=0)
    row = simulate(scenario, SPEC, trace, router)
    assert (row.router, row.replicas, row.requests) == (router, 4, 60)
    assert 0 < row.p50_first <= row.p50_latency <= row.p99_latency
    assert row.p99_slowdown >= 1.0


def test_the_router_that_knows_the_work_has_the_shortest_tail() -> None:
    p99 = {router: fmean(row.p99_latency for row in outcomes(router)) for router in ROUTERS}
    assert p99["phase"] < 0.85 * min(p99["default"], p99["round_robin"], p99["random"])


def test_old_news_costs_something() -> None:
    fresh = outcomes("phase", replace(FOUR, gateways=4))
    stale = outcomes("phase", replace(FOUR, gateways=4, message_seconds=2.0))
    assert fmean(row.p99_slowdown for row in stale) > fmean(row.p99_slowdown for row in fresh)


def test_the_command_prints_a_row_for_each_router_and_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulator", "--replicas", "2", "3", "--requests", "5", "--seed", "1"])
    main()
    rows = json.loads(capsys.readouterr().out)
    assert [(row["replicas"], row["router"]) for row in rows] == [(size, name) for size in (2, 3) for name in ROUTERS]
