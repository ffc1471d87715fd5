"""The real kubectl finds nothing odd about the server."""

from __future__ import annotations

import json
import threading

import pytest

from tests.cluster.kubernetes.api_server.conftest import Kubectl
from tests.cluster.kubernetes.api_server.plant import WIDGET_DEFINITION, config_map, pod, running, widget
from tests.cluster.kubernetes.api_server.server import ADMINISTRATORS_TOKEN, ApiServer
from tests.cluster.kubernetes.api_server.watching import Instruction


def test_it_makes_changes_and_removes_by_apply_and_delete(server: ApiServer, kubectl: Kubectl) -> None:
    made = kubectl("apply", "-f", "-", document=config_map("c", {"a": "1", "b": "2"}))
    assert (made.stdout, made.returncode) == ("configmap/c created\n", 0), made.stderr
    changed = kubectl("apply", "-f", "-", document=config_map("c", {"a": "3"}))
    assert changed.stdout == "configmap/c configured\n"
    assert server.read("ConfigMap", "c")["data"] == {"a": "3"}
    assert kubectl("apply", "-f", "-", document=config_map("c", {"a": "3"})).stdout == "configmap/c unchanged\n"
    assert kubectl("get", "cm", "-o", "name").stdout == "configmap/c\n"
    assert "deleted" in kubectl("delete", "configmap", "c").stdout
    assert server.names("ConfigMap") == []


def test_it_applies_custom_objects_of_a_definition_it_has_applied(server: ApiServer, kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", document=WIDGET_DEFINITION).returncode == 0
    assert kubectl("apply", "-f", "-", document=widget()).stdout == "widget.example.com/w created\n"
    refused = kubectl("apply", "-f", "-", document=widget(size=0))
    assert "spec.size: Invalid value: 0" in refused.stderr
    unknown = kubectl("apply", "-f", "-", document=widget(odd=1))
    assert 'strict decoding error: unknown field "spec.odd"' in unknown.stderr
    assert json.loads(kubectl("get", "widget", "w", "-o", "json").stdout)["spec"]["mode"] == "slow"


def test_it_merges_lists_by_their_key(server: ApiServer, kubectl: Kubectl) -> None:
    server.put(pod("p"))
    patch = json.dumps({"spec": {"containers": [{"name": "second", "image": "registry.example/second:1"}]}})
    done = kubectl("patch", "pod", "p", "-p", patch)
    assert done.returncode == 0, done.stderr
    containers = server.read("Pod", "p")["spec"]["containers"]
    assert [item["name"] for item in containers] == ["main", "second"]


def test_it_tells_what_a_failed_test_of_a_patch_means(server: ApiServer, kubectl: Kubectl) -> None:
    server.put(config_map("c", {"a": "1"}))
    patch = json.dumps([{"op": "test", "path": "/data/a", "value": "2"}])
    done = kubectl("patch", "cm", "c", "--type", "json", "-p", patch)
    assert done.stderr.startswith(
        "The request is invalid: the server rejected our request due to an error in our request"
    )


def test_it_watches_to_the_end(server: ApiServer, kubectl: Kubectl) -> None:
    server.put(config_map("old"))

    def change() -> None:
        server.watches.await_open("configmaps", 1)
        server.put(config_map("new"))
        server.watches.instruct(Instruction.END)

    thread = threading.Thread(target=change)
    thread.start()
    done = kubectl("get", "cm", "--watch", "-o", "name")
    thread.join()
    assert done.stdout == "configmap/old\nconfigmap/new\n"


def test_it_waits_for_a_condition(server: ApiServer, kubectl: Kubectl) -> None:
    server.put(running("p", ready=False))

    def become_ready() -> None:
        server.watches.await_open("pods", 1)
        server.put(running("p"))

    thread = threading.Thread(target=become_ready)
    thread.start()
    done = kubectl("wait", "pod/p", "--for", "condition=Ready", "--timeout", "20s")
    thread.join()
    assert done.stdout == "pod/p condition met\n", done.stderr


@pytest.mark.full
def test_it_drains_a_node_within_the_budget_of_pods(server: ApiServer, kubectl: Kubectl) -> None:
    server.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}})
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    server.put({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": spec})
    for name in ("p", "q"):
        server.put(running(name, app="a"))
    done = kubectl("drain", "node", "--force", "--timeout", "2s")
    assert done.returncode == 1
    assert "would violate the pod's disruption budget" in done.stderr
    assert len(server.names("Pod")) == 1
    assert server.read("Node", "node")["spec"]["unschedulable"]


def test_a_configuration_names_the_administrator(server: ApiServer, kubectl: Kubectl) -> None:
    assert ADMINISTRATORS_TOKEN in kubectl("config", "view", "--raw").stdout
