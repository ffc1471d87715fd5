from __future__ import annotations

import os
from collections.abc import Iterator
from unittest import mock

import pytest

from cluster.hosting import prepare_environment
from deployments.config import RayConfig, Serving


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """As a shell that knows nothing of Ray leaves it."""
    with mock.patch.dict(os.environ, clear=True):
        yield


def test_a_ray_of_our_own_listens_to_this_machine_and_asks_for_a_token() -> None:
    prepare_environment(RayConfig())
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


def test_a_ray_that_runs_keeps_its_ways() -> None:
    prepare_environment(RayConfig(address="auto"))
    assert not {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & os.environ.keys()


@pytest.mark.parametrize(
    ("serving", "throughput", "haproxy"),
    [("default", None, None), ("throughput", "1", None), ("haproxy", "1", "1")],
)
def test_each_way_of_serving_has_its_switches(serving: Serving, throughput: str | None, haproxy: str | None) -> None:
    prepare_environment(RayConfig(serving=serving))
    assert os.environ.get("RAY_SERVE_THROUGHPUT_OPTIMIZED") == throughput
    assert os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == haproxy


def test_the_operators_environment_wins() -> None:
    os.environ |= {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "0", "RAY_AUTH_MODE": "disabled"}
    prepare_environment(RayConfig(serving="throughput"))
    assert os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "0"
    assert "RAY_AUTH_TOKEN" not in os.environ
