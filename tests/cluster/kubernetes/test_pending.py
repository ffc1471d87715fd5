"""Why pods are not ready, from what scheduler, kubelet and operator say of them."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.kubernetes.pending import about, explain, not_created
from tests.cluster.kubernetes import things


def unscheduled(message: str) -> list[tuple[str, str]]:
    return [(reason.code, reason.text) for reason in explain(things.pod("p", "h100", None, message=message))]


def test_a_ready_pod_needs_no_explanation() -> None:
    assert explain(things.pod("p", "h100")) == ()


def test_each_cause_of_the_scheduler_is_told_with_its_nodes() -> None:
    message = (
        "0/12 nodes are available: 1 Insufficient cpu, 2 Insufficient nvidia.com/gpu, "
        "3 node(s) had untolerated taint {nvidia.com/gpu: present}, 2 node(s) were unschedulable, "
        "4 node(s) didn't match Pod's node affinity/selector. "
        "preemption: 0/12 nodes are available: 3 No preemption victims found, 9 Preemption is not helpful."
    )
    assert unscheduled(message) == [
        ("insufficient", "on 1 node too little cpu is free"),
        ("insufficient", "on 2 nodes too little nvidia.com/gpu is free"),
        ("taint", "on 3 nodes a taint nvidia.com/gpu: present keeps it away"),
        ("cordoned", "2 are cordoned"),
        ("selector", "on 4 nodes the labels are not those that the group asks for"),
    ]


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        ("1 node(s) had volume node affinity conflict", "zone"),
        ("3 node(s) didn't match pod topology spread constraints", "spread"),
        ("3 node(s) didn't match pod anti-affinity rules", "spread"),
        ("3 node(s) had untolerated taint(s)", "taint"),
        ("1 Too many pods", "other"),
    ],
)
def test_the_other_causes_are_told_apart(cause: str, code: str) -> None:
    [(found, _)] = unscheduled(f"0/3 nodes are available: {cause}.")
    assert found == code


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ('persistentvolumeclaim "weights" not found', "the claim weights does not exist"),
        (
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            "a claim of its volumes has no volume yet",
        ),
    ],
)
def test_claims_are_named(message: str, text: str) -> None:
    assert unscheduled(message) == [("claim", text)]


def test_a_gated_pod_names_its_gates() -> None:
    value = things.pod("p", "h100", None)
    value["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
    assert explain(value)[0].text == "scheduling gates hold it back: kueue.x-k8s.io/admission"


def container(state: Any, **more: Any) -> Any:
    return {"name": "ray-worker", "image": "dllm-cluster:9", "ready": False, "state": state, **more}


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (
            container({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}),
            "image",
            "the image dllm-cluster:9 cannot be pulled",
        ),
        (
            container({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "admin" not found'}}),
            "config",
            'ray-worker cannot be configured: secret "admin" not found',
        ),
        (
            container(
                {"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
            ),
            "restarting",
            "ray-worker does not stay up; it last ended with OOMKilled (137)",
        ),
        (
            container({"running": {"startedAt": "2026-11-22T12:00:00Z"}}),
            "unready",
            "ray-worker runs and is not ready yet",
        ),
    ],
)
def test_a_container_that_does_not_run_well_is_told_of(status: Any, code: str, text: str) -> None:
    [reason] = explain(things.pod("p", "h100", ready=False, containerStatuses=[status]))
    assert (reason.code, reason.text) == (code, text)


def test_out_of_memory_is_answered_with_memory() -> None:
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    status = container({"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ended)
    assert explain(things.pod("p", "h100", ready=False, containerStatuses=[status]))[0].advice == "raise its memory"


def test_an_init_container_is_told_of_before_those_that_wait_for_it() -> None:
    waiting = container({"waiting": {"reason": "PodInitializing"}})
    copying = {
        "name": "copy-weights",
        "image": "rclone",
        "ready": False,
        "state": {"running": {"startedAt": "2026-11-22T12:00:00Z"}},
    }
    value = things.pod("p", "h100", ready=False, containerStatuses=[waiting], initContainerStatuses=[copying])
    value["status"]["conditions"].append({"type": "Initialized", "status": "False"})
    assert [reason.text for reason in explain(value)] == ["its init container copy-weights is at work"]


def test_an_init_container_that_cannot_start_says_why() -> None:
    failing = {"name": "copy-weights", "image": "rclone:0", "state": {"waiting": {"reason": "ErrImagePull"}}}
    value = things.pod("p", "h100", ready=False, initContainerStatuses=[failing])
    assert [reason.text for reason in explain(value)] == ["the image rclone:0 cannot be pulled"]


def warning(reason: str, message: str, uid: str = "u1", kind: str = "Pod", name: str = "p") -> Any:
    return {
        "type": "Warning",
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": kind, "name": name, "uid": uid},
    }


def test_a_missing_secret_is_read_from_the_warnings_about_this_pod_alone() -> None:
    value = things.pod("p", "h100", ready=False)
    value["metadata"]["uid"] = "u1"
    missing = 'MountVolume.SetUp failed for volume "admin" : secret "release-admin" not found'
    events = [
        warning("FailedMount", missing),
        warning("FailedMount", 'configmap "other" not found', uid="u0"),
        warning("FailedMount", 'configmap "other" not found', name="q"),
    ]
    assert [reason.text for reason in explain(value, about(value, events))] == [
        "the secret release-admin does not exist"
    ]


def test_a_pod_that_a_quota_forbids_is_known_by_the_event_about_its_ray_cluster() -> None:
    message = (
        'Failed to create worker Pod for the cluster dllm/c, pods "c-h100-worker-x" is forbidden: '
        "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=8, "
        "limited: requests.nvidia.com/gpu=8"
    )
    events = [warning("FailedToCreateWorkerPod", message, kind="RayCluster", name="c")] * 2
    [explanation] = not_created(events)
    assert (explanation.name, explanation.reasons[0].code) == ("c", "quota")
    assert explanation.reasons[0].text == (
        "the quota gpus allows requests.nvidia.com/gpu=8, of which requests.nvidia.com/gpu=8 is used, "
        "and this asks for requests.nvidia.com/gpu=1"
    )


def test_what_is_not_understood_is_said_to_be_unknown() -> None:
    assert [reason.code for reason in explain(things.pod("p", "h100", ready=False))] == ["unknown"]
