from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from cluster.hosting import prepare_environment
from deployments.config import ClusterConfig, HttpConfig, RayConfig, Serving
from deployments.telemetry.config import TRACES_ENVIRONMENT, TelemetryConfig, TracesConfig


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """As a shell that knows nothing of Ray leaves it."""
    with mock.patch.dict(os.environ, clear=True):
        yield


def on_ray(**changes: Any) -> ClusterConfig:
    return ClusterConfig(ray=RayConfig(**changes))


def test_a_ray_of_our_own_listens_to_this_machine_and_asks_for_a_token() -> None:
    prepare_environment(ClusterConfig())
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


def test_a_ray_that_runs_keeps_its_ways() -> None:
    prepare_environment(on_ray(address="auto"))
    assert not {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & os.environ.keys()


@pytest.mark.parametrize(
    ("serving", "throughput", "haproxy"),
    [("default", None, None), ("throughput", "1", None), ("haproxy", "1", "1")],
)
def test_each_way_of_serving_has_its_switches(serving: Serving, throughput: str | None, haproxy: str | None) -> None:
    prepare_environment(on_ray(serving=serving))
    assert os.environ.get("RAY_SERVE_THROUGHPUT_OPTIMIZED") == throughput
    assert os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == haproxy


def test_the_operators_environment_wins() -> None:
    os.environ |= {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "0", "RAY_AUTH_MODE": "disabled"}
    prepare_environment(on_ray(serving="throughput"))
    assert os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "0"
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_a_message_may_be_as_large_as_a_body() -> None:
    prepare_environment(ClusterConfig(http=HttpConfig(max_body_bytes=1000)))
    assert os.environ["RAY_SERVE_GRPC_MAX_MESSAGE_SIZE"] == "4000"
    assert os.environ["RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH"] == "8000"


@pytest.mark.parametrize(("serving", "host"), [("default", "0.0.0.0"), ("haproxy", "127.0.0.1")])  # noqa: S104
def test_grpc_listens_where_rest_does(serving: Serving, host: str) -> None:
    http = HttpConfig(host="0.0.0.0")  # noqa: S104
    prepare_environment(ClusterConfig(http=http, ray=RayConfig(serving=serving)))
    assert os.environ["DLLM_GRPC_HOST"] == host


def test_rays_own_processes_are_told_where_spans_go() -> None:
    traces = TracesConfig(exporter="otlp", endpoint="http://127.0.0.1:4317", protocol="grpc")
    for telemetry in (TelemetryConfig(traces=traces), TelemetryConfig()):
        prepare_environment(ClusterConfig(telemetry=telemetry))
        assert TracesConfig.model_validate_json(os.environ[TRACES_ENVIRONMENT]) == telemetry.traces
