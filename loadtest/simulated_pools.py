"""Ray Serve deployments of simulated replicas that tell how much each of their steps held, one for each router.

Ray reads its environment when this module is imported.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager

import ray
from ray import serve
from ray.serve.handle import DeploymentHandle

from cluster.hosting import OBJECT_STORE_BYTES
from cluster.simulator.outcome import Answer
from cluster.simulator.run import Scenario
from cluster.simulator.workload import Arrival
from deployments.config import PoolConfig, Router
from deployments.pools.ray_pool import RayPool
from deployments.replica.engine_thread import EngineThread, ThreadSettings
from deployments.replica.worker import Worker
from deployments.routing.routers import router_settings
from deployments.run import Run
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.request import Commit
from dllm_worker.simulated.engine import SimulatedEngine
from dllm_worker.spec import ModelSpec

MOST_WAITING = 4096
"""Nobody is refused: what a router does badly is to show as latency."""


class ObservedWorker(Worker):
    """A worker that remembers the position-forwards of its steps."""

    def __init__(self, scenario: Scenario, checkpoint: str) -> None:
        self._steps: list[int] = []
        spec = describe(resolve_checkpoint(checkpoint)).spec
        engine = SimulatedEngine(spec, scenario.device, scenario.limits, observe=self._steps.append)
        name = serve.get_replica_context().replica_id.to_full_id_str()
        self._engine = EngineThread(engine, ThreadSettings(max_waiting=MOST_WAITING, replica=name))

    async def take_steps(self) -> list[int]:
        """Those since the last time."""
        steps = list(self._steps)
        del self._steps[: len(steps)]
        return steps

    def __del__(self) -> None:
        self._engine.stop()


class RoutedPool:
    """The replicas behind one router, and requests sent to them at their time."""

    def __init__(self, handle: DeploymentHandle[object], spec: ModelSpec) -> None:
        self._handle = handle
        self._pool = RayPool(handle, spec, PoolConfig(stall_seconds=60.0), steal_seconds=60.0)

    async def run(self, trace: Sequence[Arrival]) -> tuple[dict[str, Answer], list[int]]:
        """The answers to ``trace`` by request, and the position-forwards of all steps."""
        await self.take_steps()
        start = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(self._answer(arrival, start) for arrival in trace))
        requests = (arrival.request.id for arrival in trace)
        return dict(zip(requests, answers, strict=True)), await self.take_steps()

    async def take_steps(self) -> list[int]:
        """Those of all replicas since the last time."""
        taken = await self._handle.broadcast("take_steps").results_async()
        return [positions for steps in taken for positions in steps]

    async def _answer(self, arrival: Arrival, start: float) -> Answer:
        """Wait until the request is due, send it, and hear all of its tokens."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(start + arrival.at - loop.time())
        first = None
        async with aclosing(self._pool.generate(Run(arrival.request))) as messages:
            async for progress in messages:
                if first is None and any(isinstance(event, Commit) for event in progress.events):
                    first = loop.time() - start - arrival.at
        if first is None:
            raise RuntimeError(f"request {arrival.request.id} had no answer")
        return Answer(first, loop.time() - start - arrival.at)


@contextmanager
def routed_pools(scenario: Scenario, checkpoint: str, routers: Sequence[Router]) -> Iterator[Mapping[str, RoutedPool]]:
    """A pool of the scenario's replicas for each of ``routers``, on a Ray of its own on this machine."""
    spec = describe(resolve_checkpoint(checkpoint)).spec
    with tempfile.TemporaryDirectory(prefix="dllm-ray-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        ray.init(
            address="local",
            num_cpus=1,
            include_dashboard=False,
            dashboard_host="127.0.0.1",
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            _temp_dir=directory,
        )
        try:
            serve.start(proxy_location="Disabled")
            yield {router: RoutedPool(_deploy(scenario, checkpoint, router), spec) for router in routers}
        finally:
            serve.shutdown()
            ray.shutdown()


def _deploy(scenario: Scenario, checkpoint: str, router: Router) -> DeploymentHandle[object]:
    worker = serve.deployment(
        ObservedWorker,
        name=f"worker-{router}",
        num_replicas=scenario.replicas,
        max_ongoing_requests=MOST_WAITING,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=1.0,
        request_router_config=router_settings(router, request_routing_stats_period_s=scenario.poll_seconds),
    )
    return serve.run(worker.bind(scenario, checkpoint), name=f"routing-{router}", route_prefix=None)
