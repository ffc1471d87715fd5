"""A node drained through the API: cordon, evictions within budgets, replacements."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cluster.kubernetes.draining import NotDrained, cordon, drain
from cluster.kubernetes.errors import Refused
from tests.cluster.kubernetes import things
from tests.cluster.kubernetes.api_server import ApiServer

NODE = "n1"
TICK = 1.0


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with things.kubernetes_server() as server:
        server.put(things.node(NODE))
        server.put(things.ray_cluster({"gateway": 2, "h100": 1}))
        server.put(things.pod("g-1", "gateway", NODE))
        server.put(things.pod("g-2", "gateway", "n2"))
        server.put(things.pod("h-1", "h100", NODE))
        stranger = things.pod("stranger", "h100", NODE, cluster="another")
        stranger["metadata"]["labels"]["app.kubernetes.io/instance"] = "another"
        server.put(stranger)
        yield server


def budget(least: int) -> things.Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "gateways", "namespace": things.NAMESPACE},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"ray.io/group": "gateway"}}},
    }


def steps(server: ApiServer, timeout: float = 30.0) -> Iterator[str]:
    return drain(things.reached(server), things.NAMESPACE, things.RELEASE, NODE, timeout, tick=TICK)


def replace(server: ApiServer, group: str, name: str) -> None:
    """What KubeRay does when a pod of a group is gone."""
    server.put(things.pod(name, group, "n2"))


def evictions(server: ApiServer) -> list[str]:
    return [asked.name for asked in server.requests.arrived if asked.subresource == "eviction"]


def test_a_node_is_cordoned_once(server: ApiServer) -> None:
    kubernetes = things.reached(server)
    assert cordon(kubernetes, NODE)
    assert server.read("Node", NODE)["spec"]["unschedulable"] is True
    assert not cordon(kubernetes, NODE)


def test_pods_leave_one_by_one_each_when_the_one_before_is_replaced(server: ApiServer) -> None:
    told = steps(server)
    assert next(told) == "evicted g-1"
    assert "waiting: the group gateway has 1 of 2 pods ready" in told
    assert evictions(server) == ["g-1"]
    replace(server, "gateway", "g-3")
    assert next(said for said in told if said.startswith("evicted")) == "evicted h-1"
    replace(server, "h100", "h-2")
    assert list(told)[-1] == f"{NODE} holds no pod of {things.RELEASE}"
    assert evictions(server) == ["g-1", "h-1"]
    assert "stranger" in server.names("Pod", things.NAMESPACE)


def test_a_budget_is_waited_for(server: ApiServer) -> None:
    server.put(budget(2))
    told = steps(server)
    said = next(told)
    assert said.startswith("waiting: g-1 may not go yet: Cannot evict pod")
    assert "g-1" in server.names("Pod", things.NAMESPACE)
    server.put(budget(1))
    assert next(told) == "evicted g-1"


def test_the_time_may_be_up(server: ApiServer) -> None:
    server.put(budget(2))
    with pytest.raises(NotDrained, match=r"n1 is not drained after 0 s; waiting: g-1"):
        list(steps(server, 0.0))


def test_a_pod_that_is_gone_meanwhile_is_none_to_evict(server: ApiServer) -> None:
    server.refuse(404, "create", "pods/eviction")
    assert next(steps(server)) == "g-1 is gone already"


def test_a_pod_that_came_by_the_name_of_another_is_not_evicted_for_it(server: ApiServer) -> None:
    held, told = server.hold("create", "pods/eviction"), list[str]()
    asking = threading.Thread(target=lambda: told.append(next(steps(server))))
    asking.start()
    held.arrived()
    server.remove("Pod", "g-1", things.NAMESPACE)
    server.put(things.pod("g-1", "gateway", "n2"))
    held.release()
    asking.join()
    assert told == ["g-1 is gone already"]
    assert "g-1" in server.names("Pod", things.NAMESPACE)


def test_an_eviction_whose_answer_is_lost_is_looked_after(server: ApiServer) -> None:
    server.drop("create", "pods/eviction", afterwards=True)
    told = steps(server)
    assert next(told).startswith("waiting: ")
    assert "waiting: the group gateway has 1 of 2 pods ready" in told
    assert evictions(server) == ["g-1"]


def test_what_the_autoscaler_gives_up_is_not_waited_for(server: ApiServer) -> None:
    server.put(things.ray_cluster({"gateway": 1, "h100": 0}))
    done = [said for said in steps(server) if not said.startswith("waiting")]
    assert done == ["evicted g-1", "evicted h-1", f"{NODE} holds no pod of {things.RELEASE}"]


def test_missing_rights_are_told(server: ApiServer) -> None:
    server.refuse(403, "create", "pods/eviction")
    with pytest.raises(Refused) as caught:
        list(steps(server))
    assert caught.value.status == 403
