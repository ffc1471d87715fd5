"""The whole road: Ray Serve, Valkey and both embedded models, started once for the session."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import SecretStr

from cluster.hosting import ray_hosting
from cluster.valkey import free_port
from deployments.config import AdminConfig, ClusterConfig, GrpcConfig, HttpConfig, ModelConfig, PoolConfig
from deployments.telemetry.config import TelemetryConfig
from deployments.tenancy.declared import KeyConfig
from deployments.tenancy.keys import make_key

KEY, FOREIGN_KEY = make_key("test", lambda count: b"a" * count), make_key("test", lambda count: b"u" * count)
ADMIN_KEY = "an-admin-key-for-tests"
POOL = PoolConfig(cpus=0.2, threads=1, max_running=8, max_waiting=64)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster, two tenants' keys and the operator's."""

    base_url: str
    admin_url: str
    grpc_address: str
    access_log: Path
    key: str = KEY
    foreign_key: str = FOREIGN_KEY
    admin_key: str = ADMIN_KEY

    async def stats(self, model: str) -> dict[str, int]:
        """The counters of the only replica of ``model``."""
        from ray import serve

        counters: dict[str, int] = await serve.get_deployment_handle(f"worker:{model}:default", "dllm").stats.remote()
        return counters


@pytest.fixture(scope="session")
def cluster(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    port, access_log = free_port(), tmp_path_factory.mktemp("cluster") / "access.log"
    config = ClusterConfig(
        http=HttpConfig(port=port, max_body_bytes=64 << 10, keep_alive_seconds=0.5),
        grpc=GrpcConfig(port=free_port()),
        admin=AdminConfig(port=free_port(), key=SecretStr(ADMIN_KEY)),
        telemetry=TelemetryConfig(access_log=str(access_log)),
        keys=[
            KeyConfig(tenant=tenant, key=SecretStr(key)) for key, tenant in ((KEY, "acme"), (FOREIGN_KEY, "umbrella"))
        ],
        models=[
            ModelConfig(id="tiny-code", checkpoint="embedded:tiny-code", pools=[POOL]),
            ModelConfig(id="tiny-sudoku", checkpoint="embedded:tiny-sudoku", pools=[POOL]),
        ],
    )
    with ray_hosting(config, valkey_url):
        base_url, admin_url = (f"http://127.0.0.1:{each}" for each in (port, config.admin.port))
        yield Cluster(base_url, admin_url, f"127.0.0.1:{config.grpc.port}", access_log)


@pytest.fixture
def client(cluster: Cluster) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{cluster.base_url}/v1", api_key=cluster.key, max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(cluster: Cluster) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{cluster.base_url}/v1", api_key=cluster.key, max_retries=0) as client:
        yield client
