"""Evictions within and beyond the budgets of pods."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes import client

from tests.cluster.kubernetes.api_server.plant import PODS, ask, pod, refusal, running
from tests.cluster.kubernetes.api_server.server import ApiServer, api_server


def budget(server: ApiServer, name: str = "b", **spec: Any) -> None:
    selector = {"matchLabels": {"app": "a"}}
    metadata = {"name": name}
    server.put(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": {"selector": selector, **spec},
        }
    )


def evict(server: ApiServer, name: str) -> Any:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}}
    return ask(server, "POST", f"{PODS}/{name}/eviction", body)


def test_a_pod_of_no_budget_is_evicted(server: ApiServer) -> None:
    server.put(running("p", app="a"))
    assert evict(server, "p").status == 201
    assert server.names("Pod") == []


def test_a_budget_keeps_the_pods_it_needs(server: ApiServer) -> None:
    budget(server, minAvailable=1)
    for name in ("p", "q"):
        server.put(running(name, app="a"))
    assert evict(server, "p").status == 201
    refused = evict(server, "q")
    assert refusal(refused) == (
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
    )
    assert refused.json()["details"]["causes"] == [
        {"reason": "DisruptionBudget", "message": "The disruption budget b needs 1 healthy pods and has 1 currently"}
    ]
    server.put(running("r", app="a"))
    assert evict(server, "q").status == 201


def test_the_official_client_is_told_that_a_budget_forbids_it(server: ApiServer) -> None:
    budget(server, minAvailable=1)
    server.put(running("p", app="a"))
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name="p", namespace="default"))
    with pytest.raises(client.ApiException) as caught:
        client.CoreV1Api(server.client()).create_namespaced_pod_eviction("p", "default", eviction)
    assert caught.value.status == 429


def test_pods_that_are_on_their_way_out_do_not_count(server: ApiServer) -> None:
    with api_server(kubelets_end_pods=False) as slow:
        budget(slow, minAvailable=1)
        for name in ("p", "q"):
            slow.put(running(name, app="a"))
        assert evict(slow, "p").status == 201
        assert slow.names("Pod") == ["p", "q"]
        assert evict(slow, "q").status == 429


def test_of_pods_that_may_be_unavailable_only_owners_with_a_scale_know(server: ApiServer) -> None:
    budget(server, maxUnavailable=1)
    server.put(running("p", app="a"))
    assert evict(server, "p").status == 429
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": pod("t")["spec"]}
    spec = {"serviceName": "s", "selector": {"matchLabels": labels}, "template": template, "replicas": 1}
    owner = server.put({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"}, "spec": spec})
    owned = running("p", app="a")
    reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": owner["metadata"]["uid"]}
    owned["metadata"]["ownerReferences"] = [reference]
    server.put(owned)
    assert evict(server, "p").status == 201


def test_an_unhealthy_pod_goes_while_enough_others_are_healthy(server: ApiServer) -> None:
    budget(server, minAvailable=1)
    server.put(running("sick", ready=False, app="a"))
    assert evict(server, "sick").status == 429
    server.put(running("well", app="a"))
    assert evict(server, "sick").status == 201


def test_a_budget_can_let_all_unhealthy_pods_go(server: ApiServer) -> None:
    budget(server, minAvailable=1, unhealthyPodEvictionPolicy="AlwaysAllow")
    server.put(running("sick", ready=False, app="a"))
    assert evict(server, "sick").status == 201


def test_a_pod_that_does_not_run_is_of_no_budget(server: ApiServer) -> None:
    budget(server, minAvailable=1)
    server.put({**pod("p", app="a"), "status": {"phase": "Pending"}})
    assert evict(server, "p").status == 201


def test_a_pod_of_two_budgets_cannot_be_evicted(server: ApiServer) -> None:
    budget(server, "b", minAvailable=0)
    budget(server, "c", minAvailable=0)
    server.put(running("p", app="a"))
    assert refusal(evict(server, "p"))[0] == 500


def test_an_eviction_of_no_pod_is_not_found(server: ApiServer) -> None:
    assert refusal(evict(server, "p")) == (404, "NotFound", 'pods "p" not found')
