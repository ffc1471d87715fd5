"""The endpoint that Prometheus reads; what it says is in ``tests/deployments/telemetry/test_collection.py``."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry

from deployments.telemetry.exposition import Exposition
from deployments.telemetry.names import MIGRATIONS
from deployments.telemetry.prometheus import PrometheusMetrics
from tests.deployments.gateway.admin.administration import Place

SERIES = 'dllm_migrations_total{model="m",outcome="lost",process="gateway-aa"} 1.0'


@pytest.fixture
def gateway(place: Place) -> Iterator[None]:
    """A process of the cluster."""
    metrics = PrometheusMetrics(CollectorRegistry())
    metrics.record(MIGRATIONS, 1, trace_id="a" * 32, model="m", outcome="lost")
    exposition = Exposition(metrics.registry, "gateway", "aa", "127.0.0.1")
    place.targets.announce(exposition.target)
    yield
    exposition.close()


@pytest.mark.parametrize("accept", ["*/*", "text/plain;version=0.0.4"])
async def test_the_text_format_is_what_all_understand(admin: httpx.AsyncClient, gateway: None, accept: str) -> None:
    answer = await admin.get("http://admin/metrics", headers={"accept": accept})
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert SERIES in answer.text.splitlines()


async def test_openmetrics_is_given_to_who_asks_for_it(admin: httpx.AsyncClient, gateway: None) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
    answer = await admin.get("http://admin/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("\n# EOF\n")
    (line,) = [line for line in answer.text.splitlines() if line.startswith("dllm_migrations_total")]
    assert line.startswith(f'{SERIES} # {{trace_id="{"a" * 32}"}} 1.0 ')
