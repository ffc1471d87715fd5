"""The cluster that is flooded, and who is on it."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from cluster.valkey import free_port
from deployments.config import (
    AdminConfig,
    ClusterConfig,
    GrpcConfig,
    HttpConfig,
    ModelConfig,
    PoolConfig,
    SimulationConfig,
)
from deployments.tenancy.declared import KeyConfig, TenantConfig, TenantLimits
from deployments.tenancy.keys import make_key
from loadtest.malformed.attacks import MODEL

LOUD, QUIET = "mallory", "alice"
KEYS = {tenant: make_key("test") for tenant in (LOUD, QUIET)}
CHECKPOINT = f"embedded:{MODEL}"
SIMULATED = "simulated"
SIMULATION = SimulationConfig(floor_seconds=0.02, per_position_seconds=1e-4, steps=8.0)
QUESTION = {"model": SIMULATED, "prompt": "def mean(values):\n", "max_tokens": 32, "seed": 1}


def configuration(*, decodes: bool) -> ClusterConfig:
    """A cluster of a model for each of two tenants, of which one is limited. ``decodes``: whether the model of that one
    does, on the processors that all share; otherwise it is on a simulated device, as the other's.
    """
    simulated: dict[str, Any] = {"device": "simulated", "simulation": SIMULATION}
    pool = PoolConfig(cpus=0.2, threads=1, max_running=8, max_waiting=64)
    return ClusterConfig(
        http=HttpConfig(port=free_port()),
        grpc=GrpcConfig(port=free_port()),
        admin=AdminConfig(port=free_port(), key=SecretStr(make_key("admin"))),
        tenants=[
            TenantConfig(name=LOUD, limits=TenantLimits(concurrency=2, work_per_minute=20_000)),
            TenantConfig(name=QUIET),
        ],
        keys=[KeyConfig(tenant=tenant, key=SecretStr(key)) for tenant, key in KEYS.items()],
        models=[
            ModelConfig(id=MODEL, checkpoint=CHECKPOINT, pools=[pool], **({} if decodes else simulated)),
            ModelConfig(id=SIMULATED, checkpoint=CHECKPOINT, pools=[pool], **simulated),
        ],
    )
