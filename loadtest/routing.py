"""``python -m loadtest.routing``: the phase-aware router beside Ray Serve's own, on real replicas of simulated devices.

Each router has a Ray Serve deployment of its own. In every round the same requests go to one after the other, through
deployment handles and without HTTP: each starts when it is due, whatever has become of the others. Then the same
requests run through the virtual replicas of ``cluster.simulator``, whose error is stated. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING

from cluster.hosting import prepare_environment
from cluster.simulator.__main__ import CHECKPOINT, DEVICE, LIMITS
from cluster.simulator.outcome import Outcome, outcome
from cluster.simulator.run import Scenario, simulate
from cluster.simulator.workload import Arrival, Load, draw
from deployments.config import ClusterConfig, Router
from dllm_worker.models.checkpoint import describe, resolve_checkpoint

if TYPE_CHECKING:
    from loadtest.simulated_pools import RoutedPool

COMPARED: tuple[Router, ...] = ("default", "phase", "round_robin")
REST_SECONDS = 3.0
"""Between two traces; by then the controller has asked every replica for its figures."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``measured`` and ``simulated`` are medians over the rounds. The ratios are of each round's p99, of latencies and
    of slowdowns, over those of Ray Serve's default router. The errors are the simulation's shares of what it differs
    by, averaged over the rounds.
    """

    router: str
    measured: Outcome
    simulated: Outcome
    p99_latency_over_default: tuple[float, ...]
    p99_slowdown_over_default: tuple[float, ...]
    simulated_p50_error: float
    simulated_p99_error: float


@dataclass(frozen=True, slots=True)
class Round:
    """One trace through every router, on real and on virtual replicas."""

    measured: Mapping[str, Outcome]
    simulated: Mapping[str, Outcome]


async def measure(
    pools: Mapping[str, RoutedPool], scenario: Scenario, trace: Sequence[Arrival], first: int
) -> dict[str, Outcome]:
    """``trace`` through each of ``pools``, in an order that begins with another one in each round."""
    order, outcomes = list(pools), {}
    for router in order[first % len(order) :] + order[: first % len(order)]:
        await asyncio.sleep(REST_SECONDS)
        answers, steps = await pools[router].run(trace)
        outcomes[router] = outcome(router, scenario.replicas, trace, answers, steps)
    return outcomes


def compare(rounds: Sequence[Round]) -> list[Comparison]:
    """One row for each router."""
    return [_comparison(router, rounds) for router in COMPARED]


def _comparison(router: str, rounds: Sequence[Round]) -> Comparison:
    measured = [each.measured[router] for each in rounds]
    simulated = [each.simulated[router] for each in rounds]
    default = [each.measured["default"] for each in rounds]
    pairs = list(zip(measured, default, strict=True))
    both = list(zip(measured, simulated, strict=True))
    return Comparison(
        router,
        _median(measured),
        _median(simulated),
        tuple(own.p99_latency / other.p99_latency for own, other in pairs),
        tuple(own.p99_slowdown / other.p99_slowdown for own, other in pairs),
        fmean(virtual.p50_latency / real.p50_latency - 1 for real, virtual in both),
        fmean(virtual.p99_latency / real.p99_latency - 1 for real, virtual in both),
    )


def _median(outcomes: Sequence[Outcome]) -> Outcome:
    rows = [asdict(row) for row in outcomes]
    middle = {name: median(row[name] for row in rows) for name in rows[0] if name != "router"}
    return Outcome(router=outcomes[0].router, **middle)


def play(scenario: Scenario, load: Load, requests: int, rounds: int) -> list[Round]:
    """All rounds, each with requests of its own."""
    from loadtest.simulated_pools import routed_pools

    spec = describe(resolve_checkpoint(CHECKPOINT)).spec
    traces = [draw(load, spec, DEVICE, scenario.replicas, requests, seed) for seed in range(rounds)]
    with routed_pools(scenario, CHECKPOINT, COMPARED) as pools:
        measured = [asyncio.run(measure(pools, scenario, trace, number)) for number, trace in enumerate(traces)]
    return [
        Round(real, {router: simulate(scenario, spec, trace, router) for router in COMPARED})
        for trace, real in zip(traces, measured, strict=True)
    ]


def main() -> None:
    """Print one object for each router."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.routing", description=__doc__)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--requests", type=int, default=300, help="in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--utilization", type=float, default=Load().utilization)
    options = parser.parse_args()
    prepare_environment(ClusterConfig())
    # What is measured is to wait for nobody: Ray starts its replicas with a niceness of 15.
    os.environ.update({"RAY_worker_niceness": "0"})
    scenario = Scenario(options.replicas, device=DEVICE, limits=LIMITS)
    with redirect_stdout(sys.stderr):  # where Ray may write what it likes
        rounds = play(scenario, Load(options.utilization), options.requests, options.rounds)
    print(json.dumps([asdict(row) for row in compare(rounds)], indent=2))


if __name__ == "__main__":
    main()
