"""The cluster that chaos is let loose on: the real thing, on loopback, with a proxy before its state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from pydantic import SecretStr

from cluster.hosting import prepare_environment, ray_hosting
from cluster.valkey import free_port
from deployments.config import (
    AdminConfig,
    ClusterConfig,
    GatewayConfig,
    GrpcConfig,
    HttpConfig,
    ModelConfig,
    PoolConfig,
    SimulationConfig,
    StateConfig,
)
from deployments.tenancy.declared import KeyConfig
from deployments.tenancy.keys import make_key
from tests.chaos.nemesis import Nemesis, until
from tests.chaos.notes import FOLDER, Notes
from tests.chaos.state_server import StateServer, state_server
from tests.chaos.tcp_proxy import ProxyThread, proxy_thread

KEY = make_key("test", lambda count: b"c" * count)
METERED_KEYS = tuple(make_key("test", bytes([number]).__mul__) for number in range(3))
"""Keys of tenants of their own, so that the usage of each is that of one test."""

TENANTS = {KEY: "acme"} | {key: f"metered-{number}" for number, key in enumerate(METERED_KEYS)}
REAL, SIMULATED = "tiny-code", "simulated"
LEASE_SECONDS = 6.0
STALL_SECONDS = 6.0
CHECKPOINT = "embedded:tiny-code"


@dataclass(frozen=True, slots=True)
class ChaosCluster:
    """A cluster, and the ways to hurt it."""

    config: ClusterConfig
    base_url: str
    notes: Notes
    state: StateServer
    network: ProxyThread

    async def ready(self, nemesis: Nemesis) -> None:
        """Wait until every replica is back."""
        await until(lambda: all(self._is_whole(model, nemesis) for model in self.config.models), "the return of all")
        await until(lambda: len(nemesis.gateways()) >= self.config.gateway.replicas, "the return of a gateway")

    def redeploy(self, config: ClusterConfig) -> None:
        """Replace what runs by ``config``, as an operator does."""
        from ray import serve

        from deployments.app import build

        serve.run(build(config, _url(self.network)), name=config.name, route_prefix="/")

    def _is_whole(self, model: ModelConfig, nemesis: Nemesis) -> bool:
        return len(nemesis.ready(model.id)) >= sum(pool.replicas for pool in model.pools)


def real(replicas: int) -> ModelConfig:
    """The embedded model on so many replicas."""
    return ModelConfig(id=REAL, checkpoint=CHECKPOINT, pools=[_pool(replicas)])


def simulated(replicas: int, step_seconds: float = 0.03) -> ModelConfig:
    """A device whose steps take their time and cost next to nothing, on so many replicas."""
    simulation = SimulationConfig(floor_seconds=step_seconds, per_position_seconds=0.0, per_segment_seconds=0.0)
    return ModelConfig(
        id=SIMULATED, checkpoint=CHECKPOINT, device="simulated", simulation=simulation, pools=[_pool(replicas)]
    )


def configuration(*models: ModelConfig, gateways: int = 1) -> ClusterConfig:
    """A cluster of ``models`` that takes over from a silent gateway soon."""
    return ClusterConfig(
        http=HttpConfig(port=free_port()),
        state=StateConfig(lease_seconds=LEASE_SECONDS),
        grpc=GrpcConfig(port=None),
        admin=AdminConfig(port=free_port()),
        gateway=GatewayConfig(replicas=gateways, cpus=0.05),
        keys=[KeyConfig(tenant=tenant, key=SecretStr(key)) for key, tenant in TENANTS.items()],
        models=list(models),
    )


@contextmanager
def chaos_cluster(config: ClusterConfig, folder: Path) -> Iterator[ChaosCluster]:
    """Start ``config`` with observed workers, and a state server that survives its own death."""
    notes, state = folder / "notes", folder / "state"
    notes.mkdir()
    state.mkdir()
    prepare_environment(config)
    from tests.chaos.observed import ObservedWorker

    with ExitStack() as parts:
        parts.enter_context(mock.patch.dict(os.environ, {FOLDER: str(notes)}))
        parts.enter_context(mock.patch("deployments.app.Worker", ObservedWorker))
        server = parts.enter_context(state_server(state, durable=True))
        network = parts.enter_context(proxy_thread(server.port))
        parts.enter_context(ray_hosting(config, _url(network)))
        yield ChaosCluster(config, f"http://127.0.0.1:{config.http.port}", Notes(notes), server, network)


def _url(network: ProxyThread) -> str:
    return f"redis://127.0.0.1:{network.port}/0"


def _pool(replicas: int) -> PoolConfig:
    return PoolConfig(replicas=replicas, cpus=0.05, max_running=8, max_waiting=64, stall_seconds=STALL_SECONDS)
