"""Faults that are asked for, and the record of requests."""

from __future__ import annotations

import threading

import pytest
import urllib3

from tests.cluster.kubernetes.api_server.plant import CONFIG_MAPS, PODS, ask, config_map, refusal
from tests.cluster.kubernetes.api_server.server import ApiServer


@pytest.mark.parametrize(
    ("code", "reason"),
    [(410, "Expired"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")],
)
def test_so_many_requests_are_refused_and_no_more(server: ApiServer, code: int, reason: str) -> None:
    server.refuse(code, "list", "pods", times=2)
    assert ask(server, "GET", CONFIG_MAPS).status == 200
    assert [ask(server, "GET", PODS).status for _ in range(3)] == [code, code, 200]
    server.refuse(code)
    assert refusal(ask(server, "GET", PODS))[1] == reason


def test_a_refusal_can_say_when_to_come_back(server: ApiServer) -> None:
    server.refuse(429, retry_after=7)
    response = ask(server, "GET", PODS)
    assert response.headers["Retry-After"] == "7"
    assert response.json()["details"] == {"retryAfterSeconds": 7}


@pytest.mark.parametrize("afterwards", [False, True])
def test_a_lost_connection_leaves_open_whether_the_request_was_carried_out(
    server: ApiServer, afterwards: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server.drop("create", "configmaps", afterwards=afterwards)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        ask(server, "POST", CONFIG_MAPS, config_map("c"))
    assert server.names("ConfigMap") == (["c"] if afterwards else [])
    assert caplog.records == []


def test_a_watch_can_be_refused_as_a_request(server: ApiServer) -> None:
    server.refuse(410, "watch", "pods")
    assert refusal(ask(server, "GET", PODS, watch="1"))[:2] == (410, "Expired")


def test_a_held_request_goes_on_when_it_is_released(server: ApiServer) -> None:
    held = server.hold("create", "configmaps")
    thread = threading.Thread(target=ask, args=(server, "POST", CONFIG_MAPS, config_map("c")))
    thread.start()
    held.arrived()
    assert server.names("ConfigMap") == []
    held.release()
    thread.join()
    assert server.names("ConfigMap") == ["c"]


def test_requests_are_recorded_in_their_order(server: ApiServer) -> None:
    ask(server, "POST", CONFIG_MAPS, config_map("c"), dryRun="All")
    ask(server, "GET", "/api/v1/nodes/n/status")
    ask(server, "DELETE", PODS)
    found = [(asked.verb, asked.full_resource, asked.namespace, asked.name) for asked in server.requests.arrived]
    assert found == [
        ("create", "configmaps", "default", ""),
        ("get", "nodes/status", "", "n"),
        ("deletecollection", "pods", "default", ""),
    ]
    assert server.requests.arrived[0].dry_run
    assert server.requests.wait_for(lambda asked: asked.resource == "nodes")[0].subresource == "status"
