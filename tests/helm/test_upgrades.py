"""What a change of the values means for a running cluster, as docs/kubernetes.md tells it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.helm.chart import pick, render, serve_document

OF_A_GROUP = ("replicas", "minReplicas", "maxReplicas")


def spec(**sets: str) -> Any:
    return pick(render(**sets), "RayService")["spec"]


def hashed(ray_cluster: Any) -> Any:
    """What KubeRay compares to tell whether another Ray cluster is needed."""
    ray_cluster = copy.deepcopy(ray_cluster)
    for group in ray_cluster["workerGroupSpecs"]:
        for key in OF_A_GROUP:
            del group[key]
        group["template"]["spec"].pop("tolerations", None)
    return ray_cluster


MODELS = json.dumps(
    [{"id": "tiny-code", "checkpoint": "embedded:tiny-code", "pools": [{"cpus": 1, "max_running": 8, "replicas": 2}]}]
)
GROUP = {
    "minReplicas": 1,
    "maxReplicas": 2,
    "resources": {"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"cpu": 2, "memory": "4Gi"}},
}


IN_PLACE = {
    "config.models": MODELS,
    "config.limits": '{"without_state": "deny"}',
    "config.tenants": '[{"name": "bravo"}]',
    "config.routing": '{"steal_seconds": 1}',
    "config.state": '{"ttl_seconds": 60}',
    "config.telemetry": '{"named_tenants": 5}',
    "config.http": '{"refuse_unknown_parameters": true}',
    "config.grpc": '{"reflection": true}',
}


def test_what_the_program_alone_has_to_know_is_changed_in_place() -> None:
    before, after = spec(), spec(**{path.replace(".", "__"): value for path, value in IN_PLACE.items()})
    assert before["rayClusterConfig"] == after["rayClusterConfig"]
    [old], [new] = (serve_document({"spec": each})["applications"] for each in (before, after))
    for path in IN_PLACE:
        section = path.removeprefix("config.")
        assert old["args"].get(section) != new["args"][section]


def test_the_number_of_pods_is_changed_in_the_running_cluster() -> None:
    after = spec(
        workers__cpu__maxReplicas="4",
        gateways__replicas="3",
        config__gateway__replicas="3",
        workers__cpu__tolerations='[{"operator": "Exists"}]',
        upgrade__strategy='"None"',
    )
    assert hashed(spec()["rayClusterConfig"]) == hashed(after["rayClusterConfig"])
    assert [group["maxReplicas"] for group in after["rayClusterConfig"]["workerGroupSpecs"]] == [3, 4]


def test_a_group_whose_name_comes_last_joins_the_running_cluster() -> None:
    before, after = (hashed(spec(**sets)["rayClusterConfig"]) for sets in ({}, {"workers__later": json.dumps(GROUP)}))
    assert after["workerGroupSpecs"][:-1] == before["workerGroupSpecs"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("image.tag", '"2"'),
        ("ray.drainSeconds", "90"),
        ("config.http", '{"max_body_bytes": 2000000}'),
        ("config.http", '{"port": 8080}'),
        ("config.ray", '{"serving": "throughput"}'),
        ("config.telemetry", '{"traces": {"exporter": "console"}}'),
        ("collector.enabled", "true"),
        ("workers.cpu.resources", json.dumps(GROUP["resources"])),
        ("workers.aaa", json.dumps(GROUP)),
        ("externalRedis", '{"url": "redis://db", "existingSecret": "redis"}'),
        ("security.podSecurityContext.runAsUser", "1000"),
    ],
)
def test_what_a_pod_starts_with_takes_a_new_cluster(path: str, value: str) -> None:
    after = spec(**{path.replace(".", "__"): value})
    assert hashed(spec()["rayClusterConfig"]) != hashed(after["rayClusterConfig"])
