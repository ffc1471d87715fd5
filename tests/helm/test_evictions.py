"""The chart's disruption budgets at work: an API server lets pods go one at a time, and always lets one go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kubernetes.client import ApiException, CoreV1Api, V1Eviction, V1ObjectMeta

from tests.cluster.kubernetes.api_server import ApiServer, api_server
from tests.cluster.kubernetes.api_server.resources import permissive_resource
from tests.helm.chart import NAMES, NAMESPACE, Object, every, ray_pods, render

CLUSTER = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "ray"}}
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as running:
        running.registry.serve(permissive_resource("ray.io", "v1", "rayclusters", "RayCluster"))
        yield running


def replicas_of(rendered: list[Object]) -> Iterator[tuple[int, Object]]:
    """How many pods there are of each template at least, with the labels that a pod of it has."""
    [service] = every(rendered, "RayService")
    templates = ray_pods(service)
    for group in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        labels = templates[group["groupName"]]["metadata"]["labels"]
        yield group["minReplicas"], {**labels, "ray.io/group": group["groupName"]}
    for kind in ("Deployment", "StatefulSet"):
        for each in every(rendered, kind):
            yield each["spec"]["replicas"], each["spec"]["template"]["metadata"]["labels"]


def pods_of(rendered: list[Object], owner: Object) -> Iterator[Object]:
    reference = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "name": "ray", "uid": owner["metadata"]["uid"]}
    for template, (replicas, labels) in enumerate(replicas_of(rendered)):
        for number in range(replicas):
            metadata = {"name": f"pod-{template}-{number}", "labels": labels, "ownerReferences": [reference]}
            spec = {"nodeName": "node", "containers": [{"name": "main", "image": "dllm-cluster:0.1.0"}]}
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": READY}


def evict(server: ApiServer, name: str) -> int:
    body = V1Eviction(metadata=V1ObjectMeta(name=name, namespace=NAMESPACE))
    try:
        CoreV1Api(server.client()).create_namespaced_pod_eviction(name, NAMESPACE, body)
    except ApiException as error:
        return int(error.status or 0)
    return 201


@pytest.mark.parametrize("values", NAMES)
def test_one_pod_of_each_group_may_go_at_a_time(server: ApiServer, values: str) -> None:
    rendered = render(values, capacity__enabled="true")
    owner = server.put(CLUSTER, NAMESPACE)
    for each in (*every(rendered, "PodDisruptionBudget"), *pods_of(rendered, owner)):
        server.put(each, NAMESPACE)
    for template, (replicas, _) in enumerate(replicas_of(rendered)):
        answers = [evict(server, f"pod-{template}-{number}") for number in range(replicas)]
        assert answers == ([201, *[429] * (replicas - 1)] if replicas > 1 else [201] * replicas)
