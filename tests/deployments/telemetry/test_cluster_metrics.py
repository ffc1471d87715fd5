"""One scrape of a cluster with real processes: two gateways, and two replicas with simulated devices."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from pydantic import SecretStr

from cluster.hosting import ray_hosting
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
)
from deployments.tenancy.declared import KeyConfig
from deployments.tenancy.keys import make_key
from tests.chaos.processes import signal_descendant, titled

pytestmark = pytest.mark.full

KEY, ADMIN_KEY = make_key("test", lambda count: b"m" * count), "an-admin-key-for-metrics"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "def f("}], "max_tokens": 32, "seed": 7}
SECONDS = 60.0
POLL_SECONDS = 0.2


@pytest.fixture(scope="module")
def config() -> ClusterConfig:
    simulation = SimulationConfig(floor_seconds=0.001, per_position_seconds=0.0, per_segment_seconds=0.0)
    pool = PoolConfig(replicas=2, max_replicas=3, cpus=0.05, max_running=4)
    return ClusterConfig(
        http=HttpConfig(port=free_port()),
        grpc=GrpcConfig(port=None),
        admin=AdminConfig(port=free_port(), key=SecretStr(ADMIN_KEY)),
        gateway=GatewayConfig(replicas=2, cpus=0.05),
        keys=[KeyConfig(tenant="acme", key=SecretStr(KEY))],
        models=[
            ModelConfig(
                id="m", checkpoint="embedded:tiny-code", device="simulated", simulation=simulation, pools=[pool]
            )
        ],
    )


@pytest.fixture(scope="module")
def cluster(config: ClusterConfig, valkey_url: str) -> Iterator[None]:
    with ray_hosting(config, valkey_url):
        yield


@pytest.fixture
def scrape(cluster: None, config: ClusterConfig) -> Iterator[Callable[[], list[Sample]]]:
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "accept": "application/openmetrics-text;version=1.0.0"}
    with httpx.Client(base_url=f"http://127.0.0.1:{config.admin.port}", headers=headers) as http:

        def samples() -> list[Sample]:
            answer = http.get("/metrics").raise_for_status()
            families = text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
            return [sample for family in families for sample in family.samples]

        yield samples


def processes(samples: list[Sample], component: str) -> set[str]:
    names = {sample.labels.get("process", "") for sample in samples}
    return {name for name in names if name.startswith(f"{component}-")}


def total(samples: list[Sample], name: str, **labels: str) -> float:
    return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())


def operations(samples: list[Sample]) -> set[str]:
    """What the state store was called for."""
    return {sample.labels["op"] for sample in samples if sample.name == "dllm_redis_latency_seconds_count"}


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something that other processes do comes to hold in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def test_one_scrape_tells_of_every_process(config: ClusterConfig, scrape: Callable[[], list[Sample]]) -> None:
    assert within(SECONDS, lambda: len(processes(scrape(), "gateway")) == len(processes(scrape(), "worker")) == 2)
    before = scrape()
    answer = httpx.post(
        f"http://127.0.0.1:{config.http.port}/v1/chat/completions",
        json=CHAT,
        headers={"authorization": f"Bearer {KEY}"},
    )
    assert answer.status_code == 200, answer.text
    samples = scrape()
    assert total(samples, "dllm_metrics_processes", state="failed") == 0
    assert total(samples, "dllm_canvas_slots", model="m", pool="default", state="free") == 2 * 4
    assert total(samples, "dllm_engine_steps_total") > total(before, "dllm_engine_steps_total")
    assert total(samples, "dllm_position_forwards_total") == total(samples, "dllm_phase_positions_total") > 0
    assert total(samples, "dllm_redis_up") == 2
    assert within(SECONDS, lambda: {"limits.reserve", "queue.enter", "ledger.enter"} <= operations(scrape()))
    assert within(SECONDS, lambda: "controller" in {sample.labels.get("process") for sample in scrape()})
    everyone = processes(samples, "gateway") | processes(samples, "worker")
    assert {sample.labels["process"] for sample in samples if sample.name == "process_start_time_seconds"} >= everyone


def test_a_killed_replica_goes_and_its_successor_comes(scrape: Callable[[], list[Sample]]) -> None:
    before = processes(scrape(), "worker")
    victim = titled("ray::ServeReplica:dllm:worker")[0]
    signal_descendant(victim, signal.SIGKILL)
    assert within(SECONDS, lambda: len(before & processes(scrape(), "worker")) == 1)
    assert within(SECONDS, lambda: len(processes(scrape(), "worker")) == 2)
    assert within(SECONDS, lambda: total(scrape(), "dllm_metrics_processes", state="failed") == 0)
