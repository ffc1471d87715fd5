"""Requests to the API: what is tried again, what is not, and how failures are told apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubernetes.client import Configuration

from cluster.client.retries import RetryPolicy
from cluster.kubernetes.client import Kubernetes, Selection
from cluster.kubernetes.errors import Changed, Gone, Refused, Unreachable
from cluster.kubernetes.resources import NODES, PODS, RAY_SERVICES, Resource
from tests.cluster.kubernetes import things
from tests.cluster.kubernetes.api_server import ApiServer, Instruction

MINE = Selection(PODS, things.NAMESPACE)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with things.kubernetes_server() as server:
        server.put(things.bare_pod("a"))
        yield server


class Waits(list[float]):
    """The waits between attempts."""


def patient(server: ApiServer, waits: Waits, retries: int = 3) -> Kubernetes:
    policy = RetryPolicy(retries=retries, longest_wait=60.0)
    return Kubernetes(server.client(), retries=policy, sleep=waits.append, draw=lambda: 0.0)


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "subresource", "path"),
    [
        (PODS, "dllm", "a", "eviction", "/api/v1/namespaces/dllm/pods/a/eviction"),
        (NODES, None, "n/1", None, "/api/v1/nodes/n%2F1"),
        (RAY_SERVICES, "dllm", None, None, "/apis/ray.io/v1/namespaces/dllm/rayservices"),
        (NODES, "dllm", None, None, "/api/v1/nodes"),
    ],
)
def test_paths_are_those_of_the_api(
    resource: Resource, namespace: str | None, name: str | None, subresource: str | None, path: str
) -> None:
    assert resource.path(namespace, name, subresource) == path


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_passes_is_tried_again_with_growing_waits(server: ApiServer, code: int) -> None:
    server.refuse(code, "get", "pods", times=2)
    waits = Waits()
    assert patient(server, waits).get(PODS, things.NAMESPACE, "a")["metadata"]["name"] == "a"
    assert waits == [0.5, 1.0]


def test_the_server_says_how_long_to_wait(server: ApiServer) -> None:
    server.refuse(429, "list", "pods", retry_after=7)
    waits = Waits()
    assert len(patient(server, waits).list(MINE).items) == 1
    assert waits == [7.0]


def test_nothing_is_tried_again_behind_our_back(server: ApiServer) -> None:
    server.refuse(429, "get", "pods", retry_after=1)
    hasty = Kubernetes.at(Configuration(host=server.url), retries=RetryPolicy(retries=0))
    with pytest.raises(Refused):
        hasty.get(PODS, things.NAMESPACE, "a")
    assert len(server.requests.arrived) == 1


def test_trying_ends(server: ApiServer) -> None:
    server.refuse(503, "get", "pods", times=9)
    waits = Waits()
    with pytest.raises(Refused) as caught:
        patient(server, waits, retries=2).get(PODS, things.NAMESPACE, "a")
    assert (caught.value.status, len(waits)) == (503, 2)


def test_a_lost_connection_is_tried_again_where_that_does_nothing_twice(server: ApiServer) -> None:
    server.drop("get", "pods")
    assert patient(server, Waits()).get(PODS, things.NAMESPACE, "a")
    server.drop("patch", "pods", afterwards=True)
    waits = Waits()
    operations = [{"op": "add", "path": "/metadata/labels/seen", "value": "yes"}]
    with pytest.raises(Unreachable):
        patient(server, waits).patch(PODS, things.NAMESPACE, "a", operations)
    assert (waits, server.read("Pod", "a", things.NAMESPACE)["metadata"]["labels"]["seen"]) == ([], "yes")


@pytest.mark.parametrize("code", [403, 404])
def test_what_does_not_pass_is_told_at_once(server: ApiServer, code: int) -> None:
    server.refuse(code, "get", "pods")
    waits = Waits()
    with pytest.raises(Refused) as caught:
        patient(server, waits).get(PODS, things.NAMESPACE, "a")
    assert (caught.value.status, waits) == (code, [])


def test_a_server_that_is_not_there_is_unreachable() -> None:
    nowhere = Kubernetes.at(Configuration(host="http://127.0.0.1:1"), retries=RetryPolicy(retries=0))
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1 does not answer"):
        nowhere.get(PODS, "dllm", "a")


def test_lists_are_read_page_by_page(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.kubernetes.client.PAGE", 2)
    for name in "bcde":
        server.put(things.bare_pod(name))
    listing = things.reached(server).list(MINE)
    assert [each["metadata"]["name"] for each in listing.items] == list("abcde")
    assert sum(asked.verb == "list" for asked in server.requests.arrived) == 3


def test_labels_and_fields_select(server: ApiServer) -> None:
    server.put(things.pod("b", "l40s"))
    kubernetes = things.reached(server)
    by_label = kubernetes.list(Selection(PODS, things.NAMESPACE, labels="ray.io/group=l40s"))
    by_field = kubernetes.list(Selection(PODS, things.NAMESPACE, fields="metadata.name=a"))
    assert [each["metadata"]["name"] for each in (*by_label.items, *by_field.items)] == ["b", "a"]


def test_a_test_that_does_not_hold_is_a_change(server: ApiServer) -> None:
    operations = [
        {"op": "test", "path": "/metadata/labels/ray.io~1group", "value": "l40s"},
        {"op": "replace", "path": "/metadata/labels/ray.io~1group", "value": "b200"},
    ]
    with pytest.raises(Changed) as caught:
        things.reached(server).patch(PODS, things.NAMESPACE, "a", operations)
    assert caught.value.status == 422
    server.refuse(409, "patch", "pods")
    with pytest.raises(Changed):
        things.reached(server).patch(PODS, things.NAMESPACE, "a", operations[1:])


def test_a_dry_run_changes_nothing(server: ApiServer) -> None:
    operations = [{"op": "replace", "path": "/metadata/labels/ray.io~1group", "value": "b200"}]
    answer = things.reached(server).patch(PODS, things.NAMESPACE, "a", operations, dry=True)
    assert answer["metadata"]["labels"]["ray.io/group"] == "b200"
    assert server.read("Pod", "a", things.NAMESPACE)["metadata"]["labels"]["ray.io/group"] == "h100"


def test_a_watch_tells_what_happens_and_where_it_has_come(server: ApiServer) -> None:
    kubernetes = things.reached(server)
    events = kubernetes.watch(MINE, kubernetes.list(MINE).version, 20.0)
    server.put(things.bare_pod("b"))
    first = next(events)
    server.watches.await_open("pods", 1)
    server.watches.instruct(Instruction.BOOKMARK)
    second = next(events)
    server.remove("Pod", "b", things.NAMESPACE)
    third = next(events)
    assert [each.kind for each in (first, second, third)] == ["ADDED", "BOOKMARK", "DELETED"]
    assert second.object["metadata"]["resourceVersion"] == first.object["metadata"]["resourceVersion"]
    server.watches.instruct(Instruction.END)
    assert [each.kind for each in events] in ([], ["BOOKMARK"])


def test_a_watch_from_a_forgotten_version_is_gone(server: ApiServer) -> None:
    kubernetes = things.reached(server)
    version = kubernetes.list(MINE).version
    server.put(things.bare_pod("b"))
    server.compact()
    with pytest.raises(Gone):
        list(kubernetes.watch(MINE, version, 1.0))
    server.refuse(410, "watch", "pods")
    with pytest.raises(Gone):
        list(kubernetes.watch(MINE, kubernetes.list(MINE).version, 1.0))


def test_a_watch_that_is_cut_off_is_a_lost_connection(server: ApiServer) -> None:
    kubernetes = things.reached(server)
    events = kubernetes.watch(MINE, kubernetes.list(MINE).version, 20.0)
    server.put(things.bare_pod("b"))
    assert next(events).kind == "ADDED"
    server.watches.await_open("pods", 1)
    server.watches.instruct(Instruction.CUT)
    with pytest.raises(Unreachable, match="broke off"):
        next(events)
