"""``python -m loadtest.noisy_neighbour``: what a tenant notices of another one that asks for ten times what there is.

The quiet tenant sends a request at a fixed rate, whatever has become of those before; once alone, and once beside a
flood by the loud one. A real cluster answers, on a simulated device: a step takes as long for one canvas as for a full
batch, as it does where the time goes into reading the weights, so what the quiet tenant loses is what it waits. The
same then runs in virtual time, with the fair queue and without it. Latencies are from the intended start to the last
byte. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field

import httpx
from pydantic import SecretStr

from cluster.hosting import prepare_environment, ray_hosting
from cluster.simulator.neighbours import ANSWER_TOKENS, LOUD, QUIET, Neighbours, Noise, noise, simulate_noise
from cluster.simulator.run import Scenario
from cluster.valkey import embedded_valkey, free_port
from deployments.config import (
    AdminConfig,
    ClusterConfig,
    GatewayConfig,
    GrpcConfig,
    HttpConfig,
    ModelConfig,
    PoolConfig,
    SimulationConfig,
)
from deployments.gateway.shared import queue_name
from deployments.pools.pool import EVERY_CANVAS
from deployments.state.connect import clients_at
from deployments.tenancy.declared import KeyConfig
from deployments.tenancy.keys import make_key
from deployments.tenancy.queue.calls import QueueCalls
from deployments.tenancy.queue.fairness import Fairness
from dllm_worker.interface import EngineLimits
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.spec import ModelSpec

CHECKPOINT, MODEL, MAX_RUNNING = "embedded:tiny-code", "simulated", 16
PROMPT = "return"
KEYS = {tenant: make_key("test") for tenant in (QUIET, LOUD)}
LOOK_SECONDS = 1.0
WARM_UP = 8
PATIENCE = 600.0


@dataclass
class Phase:
    """What came of one phase: latencies in seconds and statuses by tenant, and how fair it was."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    jain: float = 1.0
    max_lag: float = 0.0


def configuration(scenario: Scenario) -> ClusterConfig:
    """A cluster like ``scenario``, with a tenant for each of the keys."""
    device = scenario.device
    simulation = SimulationConfig(
        floor_seconds=device.floor_seconds, per_position_seconds=0.0, per_segment_seconds=0.0, steps=device.steps
    )
    limits = scenario.limits
    pool = PoolConfig(
        replicas=scenario.replicas, cpus=0.05, max_running=limits.max_running, position_budget=limits.position_budget
    )
    model = ModelConfig(id=MODEL, checkpoint=CHECKPOINT, device="simulated", simulation=simulation, pools=[pool])
    return ClusterConfig(
        http=HttpConfig(port=free_port()),
        grpc=GrpcConfig(port=None),
        admin=AdminConfig(port=free_port()),
        gateway=GatewayConfig(replicas=scenario.gateways, cpus=0.05),
        keys=[KeyConfig(tenant=tenant, key=SecretStr(key)) for tenant, key in KEYS.items()],
        models=[model],
    )


class Clients:
    """Both tenants' clients, and somebody who looks at the queue."""

    def __init__(self, http: httpx.AsyncClient, queue: QueueCalls, neighbours: Neighbours, spec: ModelSpec) -> None:
        self._http, self._queue, self._neighbours, self._spec = http, queue, neighbours, spec

    async def warm_up(self) -> None:
        """Have every replica answer once."""
        await asyncio.gather(*(self._ask(QUIET) for _ in range(WARM_UP)))

    async def play(self, *, flood: bool) -> Phase:
        """The quiet tenant's requests, alone or beside the loud one's, of which those left at the end are given up."""
        phase, start = Phase(), asyncio.get_running_loop().time()
        beside = [asyncio.create_task(self._look(phase))]
        if flood:
            beside.append(asyncio.create_task(self._flood(phase, start)))
        times = self._neighbours.times(self._neighbours.quiet, self._spec)
        await asyncio.gather(*(self._quiet(phase, start + at) for at in times))
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        return phase

    async def _quiet(self, phase: Phase, due: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(due - loop.time())
        phase.statuses[f"{QUIET} {await self._ask(QUIET)}"] += 1
        phase.latencies.append(loop.time() - due)

    async def _flood(self, phase: Phase, start: float) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            for at in self._neighbours.times(self._neighbours.loud, self._spec):
                await asyncio.sleep(start + at - loop.time())
                tasks.create_task(self._count(phase))

    async def _count(self, phase: Phase) -> None:
        phase.statuses[f"{LOUD} {await self._ask(LOUD)}"] += 1

    async def _ask(self, tenant: str) -> int:
        body = {"model": MODEL, "prompt": PROMPT, "max_tokens": ANSWER_TOKENS}
        headers = {"authorization": f"Bearer {KEYS[tenant]}"}
        return (await self._http.post("/v1/completions", json=body, headers=headers)).status_code

    async def _look(self, phase: Phase) -> None:
        fairness = Fairness()
        while True:
            held = await self._queue.state()
            state = fairness.state(held, time.time())
            phase.max_lag = max(phase.max_lag, state.max_lag)
            if len(held.lanes[0].counters) > 1:
                phase.jain = state.jain
            await asyncio.sleep(LOOK_SECONDS)


async def measure(neighbours: Neighbours, spec: ModelSpec, port: int, state_url: str) -> tuple[Noise, Counter[str]]:
    """Both phases, and the statuses of the second one."""
    clients = clients_at(state_url)
    queue = QueueCalls(clients, queue_name(MODEL, EVERY_CANVAS), "onlooker", lease_seconds=1.0)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, limits=limits) as http:
            both = Clients(http, queue, neighbours, spec)
            await both.warm_up()
            alone = await both.play(flood=False)
            flood = await both.play(flood=True)
    finally:
        await clients.close()
    return noise("measured", alone.latencies, flood.latencies, flood.jain, flood.max_lag), flood.statuses


def main() -> None:
    """Print one object for each way."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.noisy_neighbour", description=__doc__)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--gateways", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=120.0, help="of each phase")
    parser.add_argument("--step-seconds", type=float, default=0.3)
    parser.add_argument("--simulate", action="store_true", help="in virtual time only")
    options = parser.parse_args()
    device = SimulatedDevice(options.step_seconds, per_position_seconds=0.0, per_segment_seconds=0.0, steps=8.0)
    limits = EngineLimits(max_running=MAX_RUNNING, position_budget=4096)
    neighbours = Neighbours(Scenario(options.replicas, options.gateways, device, limits), options.seconds)
    spec = describe(resolve_checkpoint(CHECKPOINT)).spec
    rows = [asdict(simulate_noise(neighbours, spec, queued=queued)) for queued in (True, False)]
    if not options.simulate:
        prepare_environment(ClusterConfig())
        config = configuration(neighbours.scenario)
        with (
            redirect_stdout(sys.stderr),  # where Ray may write what it likes
            embedded_valkey() as state,
            ray_hosting(config, state.url),
        ):
            row, statuses = asyncio.run(measure(neighbours, spec, config.http.port, state.url))
        rows.insert(0, asdict(row) | {"statuses": dict(statuses)})
    print(json.dumps({"capacity": neighbours.capacity(spec), "ways": rows}, indent=2))


if __name__ == "__main__":
    main()
