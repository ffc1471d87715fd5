"""A cluster whose pools grow and shrink within seconds, on devices that compute nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import ray
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from pydantic import SecretStr
from ray.serve._private.common import DeploymentID
from ray.serve._private.deployment_scheduler import DeploymentScheduler
from ray.serve.context import _get_global_client

from cluster.valkey import free_port
from deployments.autoscaling.config import ActivityConfig, AutoscalingConfig, PaceConfig, PanicConfig, ScalingConfig
from deployments.autoscaling.victims import METHOD
from deployments.config import (
    AdminConfig,
    ClusterConfig,
    GatewayConfig,
    GrpcConfig,
    HttpConfig,
    ModelConfig,
    PoolConfig,
    RoutingConfig,
    SimulationConfig,
)
from deployments.telemetry.metrics import Metric
from deployments.telemetry.names import MIGRATIONS
from deployments.tenancy.declared import KeyConfig
from deployments.tenancy.keys import make_key
from tests.deployments.autoscaling.own_policy import PATH

Json = dict[str, Any]

KEY = make_key("test", lambda count: b"g" * count)
ADMIN_KEY = "an-admin-key-for-tests"
SLEEPER, GROWING, FAILING = "sleeper", "growing", "failing"
PATIENCE_SECONDS = 60.0

QUICK = ScalingConfig(
    policy="composite",
    wait_seconds=0.5,
    down=PaceConfig(stabilization_seconds=2.0, replicas=4, period_seconds=1.0),
    panic=PanicConfig(window_seconds=1.0, hold_seconds=1.0),
    idle_seconds=2.0,
    cold_start_seconds=2.0,
)


def configuration(**ray: Any) -> ClusterConfig:
    """A pool that may be asleep, one of up to three replicas, and one whose policy fails."""
    return ClusterConfig(
        http=HttpConfig(port=free_port()),
        grpc=GrpcConfig(port=None),
        admin=AdminConfig(port=free_port(), key=SecretStr(ADMIN_KEY)),
        gateway=GatewayConfig(replicas=1, cpus=0.05),
        routing=RoutingConfig(),
        autoscaling=AutoscalingConfig(
            interval_seconds=0.5, stale_seconds=5.0, activity=ActivityConfig(calibration_seconds=0.0)
        ),
        keys=[KeyConfig(tenant="acme", key=SecretStr(KEY))],
        models=[
            _model(SLEEPER, 0, 1, 0.005, QUICK),
            _model(GROWING, 1, 3, 0.02, QUICK),
            _model(FAILING, 1, 2, 0.005, ScalingConfig(policy=PATH)),
        ],
        **ray,
    )


def _model(id: str, least: int, most: int, step_seconds: float, scaling: ScalingConfig) -> ModelConfig:
    simulation = SimulationConfig(
        floor_seconds=step_seconds, per_position_seconds=step_seconds / 200, per_segment_seconds=0.0
    )
    pool = PoolConfig(replicas=least, max_replicas=most, cpus=0.05, max_running=4, max_waiting=64, scaling=scaling)
    return ModelConfig(id=id, checkpoint="embedded:tiny-code", device="simulated", simulation=simulation, pools=[pool])


@dataclass(frozen=True, slots=True)
class Grown:
    """The cluster as its clients and its operator see it."""

    config: ClusterConfig

    def client(self) -> httpx.AsyncClient:
        return _client(self.config.http.port, KEY)

    def operator(self) -> httpx.AsyncClient:
        return _client(self.config.admin.port, ADMIN_KEY)

    async def pools(self) -> dict[str, Json]:
        """What the operator is told of each pool, by its model."""
        async with self.operator() as admin:
            reply = await admin.get("/admin/v1/autoscaling/explain")
            reply.raise_for_status()
            return {pool["model"]: pool for pool in reply.json()["data"]}

    async def replicas(self, model: str) -> int:
        """That run, as the operator is told; -1 as long as nothing is known."""
        pool = (await self.pools()).get(model)
        return -1 if pool is None or pool["state"] is None else pool["state"]["replicas"]

    async def until_replicas(self, model: str, count: int) -> None:
        """Wait until so many run."""

        async def holds() -> bool:
            return await self.replicas(model) == count

        await self.until(holds, f"{count} replicas of {model}")

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait until it ``holds``."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not await holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: {await self.pools()}")
            await asyncio.sleep(0.2)

    async def counts(self, model: str) -> dict[str, float]:
        """All that is counted of requests under way, wherever that is done; Ray Serve looks back over a second."""
        async with self.operator() as admin:
            queues = (await admin.get("/admin/v1/queues")).json()["data"]
        state = (await self.pools())[model]["state"]
        (queue,) = (each for each in queues if each["name"] == f"{model}:every")
        return {
            "in the queue": sum(queue["waiting"].values()),
            "with a turn": queue["running"],
            "at replicas": state["running"],
            "waiting there": state["waiting"],
            "at handles": await asyncio.to_thread(_ongoing, f"worker:{model}:default"),
        }

    async def measured(self, metric: Metric) -> list[Sample]:
        """The series of a metric, of all processes."""
        async with self.operator() as admin:
            text = (await admin.get("/metrics")).text
        families = text_string_to_metric_families(text)
        return [sample for family in families for sample in family.samples if sample.name == metric.name]

    async def migrations(self, model: str) -> dict[str, float]:
        """Requests that left a replica, by what became of them."""
        counted: Counter[str] = Counter()
        for sample in await self.measured(MIGRATIONS):
            if sample.labels["model"] == model:
                counted[sample.labels["outcome"]] += int(sample.value)
        return dict(counted)


def stops_by_work() -> bool:
    """Whether Ray Serve's controller has the method by which it chooses whom to stop in our form."""
    asked = _get_global_client()._controller.__ray_call__.remote(_is_wrapped)
    wrapped: bool = ray.get(asked)
    return wrapped


def _is_wrapped(controller: object) -> bool:
    return hasattr(getattr(DeploymentScheduler, METHOD), "__wrapped__")


def _ongoing(deployment: str) -> float:
    """What Ray Serve itself counts at the handles of a deployment."""
    controller = _get_global_client()._controller
    id = DeploymentID(name=deployment, app_name="dllm")
    total: float = ray.get(controller._get_total_num_requests_for_deployment_for_testing.remote(id))
    return total


def body(model: str, seed: int, max_tokens: int = 64) -> Json:
    return {"model": model, "prompt": f"def read{seed}():", "max_tokens": max_tokens, "seed": seed}


def _client(port: int, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={"authorization": f"Bearer {key}"},
        timeout=httpx.Timeout(PATIENCE_SECONDS),
        limits=httpx.Limits(max_connections=None),
    )
