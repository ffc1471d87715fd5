"""``python -m cluster.simulator``: the routers beside each other on 4, 64 and 1,000 replicas, in virtual time.

Each router meets the same requests on the same simulated replicas; prints a list of JSON objects.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from cluster.simulator.outcome import Outcome
from cluster.simulator.routers import ROUTERS
from cluster.simulator.run import Scenario, simulate
from cluster.simulator.workload import Load, draw
from dllm_worker.interface import EngineLimits
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.simulated.device import SimulatedDevice

CHECKPOINT = "embedded:tiny-code"
DEVICE = SimulatedDevice(floor_seconds=0.04, per_position_seconds=2e-4, per_segment_seconds=1e-4, steps=4)
LIMITS = EngineLimits(max_running=8, position_budget=512)
SIZES = {4: 1, 64: 4, 1000: 16}
"""Gateways by number of replicas."""


def compare(
    sizes: Sequence[int], requests: int, load: Load, seed: int, gateways: int | None = None
) -> Iterator[Outcome]:
    """Every router on each number of replicas, with ``requests`` for each of these."""
    spec = describe(resolve_checkpoint(CHECKPOINT)).spec
    for replicas in sizes:
        scenario = Scenario(replicas, gateways or SIZES.get(replicas, 1), DEVICE, LIMITS)
        trace = draw(load, spec, DEVICE, replicas, requests * replicas, seed)
        yield from (simulate(scenario, spec, trace, router, seed) for router in ROUTERS)


def main() -> None:
    """Print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m cluster.simulator", description=__doc__)
    parser.add_argument("--replicas", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--requests", type=int, default=40, help="for each replica")
    parser.add_argument("--gateways", type=int, help="1 for each 16 to 62 replicas when left out")
    parser.add_argument("--utilization", type=float, default=Load().utilization)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    load = Load(options.utilization)
    outcomes = compare(options.replicas, options.requests, load, options.seed, options.gateways)
    print(json.dumps([asdict(row) for row in outcomes], indent=2))


if __name__ == "__main__":
    main()
