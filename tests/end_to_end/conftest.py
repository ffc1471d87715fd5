"""The whole road: Ray Serve, Valkey and both embedded models, started once for the session."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from openai import AsyncOpenAI, OpenAI

from cluster.hosting import ray_hosting
from cluster.valkey import free_port
from deployments.config import ClusterConfig, HttpConfig, ModelConfig, PoolConfig

KEY, FOREIGN_KEY = "dllm_dev_acmeacme_key", "dllm_dev_umbrella_key"
POOL = PoolConfig(cpus=0.2, threads=1, max_running=8, max_waiting=64)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster and two tenants' keys."""

    base_url: str
    key: str = KEY
    foreign_key: str = FOREIGN_KEY

    async def stats(self, model: str) -> dict[str, int]:
        """The counters of the only replica of ``model``."""
        from ray import serve

        counters: dict[str, int] = await serve.get_deployment_handle(f"worker:{model}:default", "dllm").stats.remote()
        return counters


@pytest.fixture(scope="session")
def cluster(valkey_url: str) -> Iterator[Cluster]:
    port = free_port()
    config = ClusterConfig(
        http=HttpConfig(port=port, max_body_bytes=64 << 10, keep_alive_seconds=0.5),
        models=[
            ModelConfig(id="tiny-code", checkpoint="embedded:tiny-code", pools=[POOL]),
            ModelConfig(id="tiny-sudoku", checkpoint="embedded:tiny-sudoku", pools=[POOL]),
        ],
    )
    with ray_hosting(config, valkey_url, {KEY: "acme", FOREIGN_KEY: "umbrella"}):
        yield Cluster(f"http://127.0.0.1:{port}")


@pytest.fixture
def client(cluster: Cluster) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{cluster.base_url}/v1", api_key=cluster.key, max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(cluster: Cluster) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{cluster.base_url}/v1", api_key=cluster.key, max_retries=0) as client:
        yield client
