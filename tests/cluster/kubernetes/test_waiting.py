"""Waiting for a release through all that it goes through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.kubernetes.services import NoService
from cluster.kubernetes.waiting import NotSettled, wait
from tests.cluster.kubernetes import things
from tests.cluster.kubernetes.api_server import ApiServer


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with things.kubernetes_server() as server:
        server.put(things.ray_service(status={}))
        yield server


def test_each_state_is_told_once_until_it_is_settled(server: ApiServer) -> None:
    told = wait(things.reached(server), things.NAMESPACE, things.RELEASE, 60.0)
    assert next(told) == "KubeRay has not seen the last change yet"
    not_ready = [things.condition("Ready", False, "Initializing", "No pods yet")]
    server.put(things.ray_service(status=things.active_status(conditions=not_ready)))
    assert next(told) == "it does not serve: No pods yet"
    server.put(things.ray_service(status=things.active_status({"dllm": {"status": "DEPLOYING"}})))
    assert next(told) == "the application dllm is DEPLOYING"
    server.put(things.ray_service())
    assert list(told) == ["it serves, and nothing is left to be done"]


def test_the_time_may_be_up(server: ApiServer) -> None:
    with pytest.raises(NotSettled, match=f"{things.SERVICE} after 0 s: KubeRay has not seen"):
        list(wait(things.reached(server), things.NAMESPACE, None, 0.0))


def test_a_service_that_is_removed_is_not_waited_for(server: ApiServer) -> None:
    told = wait(things.reached(server), things.NAMESPACE, None, 60.0)
    next(told)
    server.remove("RayService", things.SERVICE, things.NAMESPACE)
    with pytest.raises(NoService, match="has been removed"):
        next(told)
