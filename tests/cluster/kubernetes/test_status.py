"""What is said of a release."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.kubernetes.ray_service import ray_service_of
from cluster.kubernetes.services import NoService
from cluster.kubernetes.status import inquire, is_settled, serves, summary
from tests.cluster.kubernetes import things
from tests.cluster.kubernetes.api_server import ApiServer

SETTLED = "it serves, and nothing is left to be done"


def deploying(status: str, message: str = "") -> things.Object:
    deployment = {"status": status, "message": message}
    return {"dllm": {"status": "RUNNING", "serveDeploymentStatuses": {"worker:llada:large": deployment}}}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (things.active_status(), SETTLED),
        (things.active_status(observedGeneration=0), "KubeRay has not seen the last change yet"),
        (
            things.active_status(conditions=[things.condition("Ready", False, "Initializing", "No pods yet")]),
            "it does not serve: No pods yet",
        ),
        (things.active_status(conditions=[]), "it does not serve yet"),
        (
            things.active_status(pendingServiceStatus={"rayClusterName": "next", "trafficRoutedPercent": 40}),
            "an upgrade is in progress: 40 % of the requests go to the new Ray cluster",
        ),
        (
            things.active_status(pendingServiceStatus={"rayClusterName": "next"}),
            "an upgrade is in progress: another Ray cluster is about to take over",
        ),
        (
            things.active_status(deploying("UNHEALTHY", "The deployment failed.\nout of memory")),
            "the deployment worker:llada:large is UNHEALTHY: out of memory",
        ),
        (
            things.active_status({"dllm": {"status": "DEPLOYING"}}),
            "the application dllm is DEPLOYING",
        ),
        (
            things.active_status(activeServiceStatus={"rayClusterName": things.CLUSTER}),
            "Serve has not told of an application yet",
        ),
    ],
)
def test_the_foremost_thing_is_said(status: things.Object, said: str) -> None:
    value = things.ray_service(status=status)
    value["metadata"]["generation"] = 1
    service = ray_service_of(value)
    assert summary(service) == said
    assert is_settled(service) is (said == SETTLED)


def test_a_service_that_deploys_again_serves_and_is_not_settled() -> None:
    service = ray_service_of(things.ray_service(status=things.active_status(deploying("UPDATING"))))
    assert serves(service)
    assert not is_settled(service)


def test_a_suspended_service_says_so() -> None:
    value = things.ray_service()
    value["spec"]["suspend"] = True
    assert summary(ray_service_of(value)) == "it is suspended"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with things.kubernetes_server() as server:
        yield server


def test_a_release_is_read_with_its_groups_and_what_is_pending(server: ApiServer) -> None:
    server.put(things.ray_service())
    server.put(things.ray_cluster({"gateway": 2, "h100": 2, "l40s": 1}))
    server.put(things.pod("head", "headgroup"))
    server.put(things.pod("h-1", "h100"))
    server.put(things.pod("h-2", "h100", None, message="0/1 nodes are available: 1 Insufficient nvidia.com/gpu."))
    server.put(things.pod("stranger", "h100", cluster="another"))
    found = inquire(things.reached(server), things.NAMESPACE, things.RELEASE)
    assert (found.name, found.serves, found.settled, found.active) == (things.SERVICE, True, True, things.CLUSTER)
    assert [(each.name, each.ready, each.pods, each.desired, each.most) for each in found.groups] == [
        ("head", 1, 1, 1, 1),
        ("gateway", 0, 0, 2, 2),
        ("h100", 1, 2, 2, 4),
        ("l40s", 0, 0, 1, 4),
    ]
    [explanation] = found.explanations
    assert (explanation.name, explanation.group) == ("h-2", "h100")
    assert explanation.reasons[0].text == "on 1 node too little nvidia.com/gpu is free"


def test_pods_that_a_quota_forbids_are_told_of(server: ApiServer) -> None:
    server.put(things.ray_service())
    message = (
        "pods is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, "
        "used: requests.nvidia.com/gpu=8, limited: requests.nvidia.com/gpu=8"
    )
    server.put(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e", "namespace": things.NAMESPACE},
            "type": "Warning",
            "reason": "FailedToCreateWorkerPod",
            "message": message,
            "involvedObject": {"kind": "RayCluster", "name": things.CLUSTER, "namespace": things.NAMESPACE},
        }
    )
    [explanation] = inquire(things.reached(server), things.NAMESPACE, None).explanations
    assert explanation.reasons[0].code == "quota"


def test_which_release_is_meant_has_to_be_clear(server: ApiServer) -> None:
    kubernetes = things.reached(server)
    with pytest.raises(NoService, match="no RayService in the namespace dllm"):
        inquire(kubernetes, things.NAMESPACE, None)
    server.put(things.ray_service())
    other = things.ray_service()
    other["metadata"] = {**other["metadata"], "name": "other", "labels": {"app.kubernetes.io/instance": "other"}}
    server.put(other)
    with pytest.raises(NoService, match="several RayServices"):
        inquire(kubernetes, things.NAMESPACE, None)
    assert inquire(kubernetes, things.NAMESPACE, "other").name == "other"
    with pytest.raises(NoService, match="of the release third"):
        inquire(kubernetes, things.NAMESPACE, "third")
