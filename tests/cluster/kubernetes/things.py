"""Objects of a cluster, as its controllers leave them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cluster.kubernetes.client import Kubernetes
from cluster.kubernetes.declared import ANNOTATION
from tests.cluster.kubernetes.api_server import ApiServer, api_server
from tests.cluster.kubernetes.api_server.resources import Resource, defined_resource, permissive_resource

Object = dict[str, Any]

NAMESPACE, RELEASE, SERVICE, CLUSTER = "dllm", "release", "release-dllm-cluster", "release-dllm-cluster-abcde"
DEFINITIONS = Path("/work/shared/kuberay")
"""KubeRay's own, where they are; without them the server takes any field."""

H100, L40S = "NVIDIA-H100-80GB-HBM3", "NVIDIA-L40S"
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
CLASSES = {"tier": "large"}


@contextmanager
def kubernetes_server(**settings: Any) -> Iterator[ApiServer]:
    """An API server with KubeRay's resources."""
    with api_server(**settings) as server:
        for resource in ray_resources():
            server.registry.serve(resource)
        yield server


@cache
def ray_resources() -> tuple[Resource, ...]:
    """RayService and RayCluster, read once: the definitions are large."""
    definitions = [
        yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader) for file in sorted(DEFINITIONS.glob("*.yaml"))
    ]
    if definitions:
        return tuple(map(defined_resource, definitions))
    kinds = (("rayservices", "RayService"), ("rayclusters", "RayCluster"))
    return tuple(permissive_resource("ray.io", "v1", plural, kind) for plural, kind in kinds)


def bare_pod(name: str) -> Object:
    """A pod of which no controller has said anything yet: it is stored in one step."""
    return {key: value for key, value in pod(name, "h100").items() if key != "status"}


def reached(server: ApiServer, token: str | None = None) -> Kubernetes:
    """The server through the official client, without waiting between attempts."""
    return Kubernetes(server.client(token), sleep=lambda _: None)


def node(name: str, product: str | None = H100, gpus: int = 1, **changes: Any) -> Object:
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": "a"}
    if product is not None:
        labels["nvidia.com/gpu.product"] = product
    allocatable = {"cpu": "31850m", "memory": "120Gi", "pods": "110"}
    if gpus:
        allocatable[changes.pop("resource", "nvidia.com/gpu")] = str(gpus)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**labels, **changes.pop("labels", {})}},
        "spec": {"taints": changes.pop("taints", [TAINT]), "unschedulable": changes.pop("cordoned", False)},
        "status": {
            "allocatable": allocatable,
            "conditions": [{"type": "Ready", "status": "True" if changes.pop("ready", True) else "False"}],
        },
    }


def pod(name: str, group: str, on: str | None = "n1", *, ready: bool = True, **changes: Any) -> Object:
    """A pod of a Ray cluster. ``waits_since`` is when the scheduler found no node for it."""
    conditions = [{"type": "Ready", "status": "True" if ready and on else "False"}]
    if on is None:
        since = changes.pop("waits_since", "2026-11-22T12:00:00Z")
        unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": since}
        conditions.append(
            {**unplaced, "message": changes.pop("message", "0/1 nodes are available: 1 Insufficient cpu.")}
        )
    spec: Object = {"containers": [{"name": "ray-worker", "image": "dllm-cluster:0.1.0"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {
                "ray.io/cluster": changes.pop("cluster", CLUSTER),
                "ray.io/group": group,
                "app.kubernetes.io/instance": RELEASE,
            },
        },
        "spec": {**spec, "nodeName": on} if on else spec,
        "status": {"phase": "Running" if on else "Pending", "conditions": conditions, **changes},
    }


def quota(name: str, hard: Mapping[str, str], used: Mapping[str, str], **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"hard": dict(hard), **spec},
        "status": {"hard": dict(hard), "used": dict(used)},
    }


def group(name: str, accelerator: str | None = None, product: str | None = None, **changes: Any) -> Object:
    """A member of ``workerGroupSpecs``, as the chart renders one."""
    gpus = changes.pop("gpus", 1 if accelerator else 0)
    resource = changes.pop("resource", "nvidia.com/gpu")
    devices = {resource: gpus} if gpus else {}
    requests, limits = {"cpu": "8", "memory": "64Gi", **devices}, {"cpu": "12", "memory": "96Gi", **devices}
    kind = {"ray.io/accelerator-type": accelerator} if accelerator else {}
    container = {
        "name": "ray-worker",
        "image": "dllm-cluster:0.1.0",
        "resources": {"requests": requests, "limits": limits},
    }
    spec: Object = {"containers": [container], "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    if product is not None:
        spec["nodeSelector"] = {"nvidia.com/gpu.product": product}
    return {
        "groupName": name,
        "replicas": changes.pop("replicas", 1),
        "minReplicas": changes.pop("least", 1),
        "maxReplicas": changes.pop("most", 4),
        "labels": {"dllm/role": "worker", "dllm/pool": name, **kind, **changes.pop("labels", {})},
        "rayStartParams": {"num-cpus": "12"},
        "template": {"spec": spec},
        **changes,
    }


def mixed_groups() -> list[Object]:
    """The gateways, one group of H100 and one of L40S."""
    gateway = group("gateway", least=2, most=2, replicas=2)
    gateway["labels"] = {"dllm/role": "gateway"}
    return [gateway, group("h100", "H100", H100, labels=CLASSES), group("l40s", "L40S", L40S)]


def gpu_pool(name: str, **changes: Any) -> Object:
    return {"name": name, "gpus": 1.0, "cpus": 6.0, **changes}


def args(*pools: Object, **changes: Any) -> Object:
    """A configuration as the chart hands it to Serve."""
    charted = [
        {
            **pool,
            "accelerator": {
                **pool.get("accelerator", {}),
                "labels": {**pool.get("accelerator", {}).get("labels", {}), "dllm/role": "worker"},
            },
        }
        for pool in pools
    ]
    model = {"id": "llada", "checkpoint": "/models/llada", "device": "cuda", "pools": charted}
    return {
        "http": {"host": "0.0.0.0"},  # noqa: S104
        "admin": {"host": "0.0.0.0", "key_file": "/etc/dllm/admin/key"},  # noqa: S104
        "state": {"url": "redis://dllm@state:6379/0?password=/etc/dllm/state/password"},
        "gateway": {"replicas": 2, "cpus": 1.0, "labels": {"dllm/role": "gateway"}},
        "models": [model],
        **changes,
    }


LARGE = gpu_pool("large", replicas=1, max_replicas=4, accelerator={"type": "H100", "price_per_hour": 4.0})
SMALL = gpu_pool("small", replicas=1, max_replicas=4, accelerator={"type": "L40S", "price_per_hour": 1.2})
EITHER = gpu_pool(
    "either",
    replicas=2,
    max_replicas=4,
    accelerator={"labels": {"ray.io/accelerator-type": "in(H100, L40S)"}, "price_per_hour": 2.0},
)


def serve_document(configuration: Object) -> Object:
    """What the chart writes to ``serveConfigV2``."""
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": "0.0.0.0", "port": 8000},  # noqa: S104
        "grpc_options": {
            "port": 9000,
            "grpc_servicer_functions": [
                f"deployments.gateway.grpc.services:{name}"
                for name in ("add_inference", "add_open_inference", "add_health")
            ],
            "enable_reflection": False,
        },
        "applications": [
            {
                "name": "dllm",
                "route_prefix": "/",
                "import_path": "deployments.serve_config:application",
                "args": configuration,
            }
        ],
    }


WELL = {"dllm": {"status": "RUNNING", "serveDeploymentStatuses": {"gateway": {"status": "HEALTHY"}}}}


def active_status(applications: Object | None = None, **changes: Any) -> Object:
    """The status of a service that serves, or of what ``changes`` make of it."""
    return {
        "observedGeneration": 1,
        "numServeEndpoints": 2,
        "activeServiceStatus": {"rayClusterName": CLUSTER, "applicationStatuses": applications or WELL},
        "conditions": [condition("Ready", True, "NonZeroServeEndpoints")],
        **changes,
    }


def condition(kind: str, is_true: bool, reason: str, message: str = "") -> Object:
    return {
        "type": kind,
        "status": str(is_true),
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-22T12:00:00Z",
    }


def ray_service(
    configuration: Object | None = None,
    groups: list[Object] | None = None,
    status: Object | None = None,
    declared: str | None = '{"h100": {"min": 1, "max": 4}, "l40s": {"min": 1, "max": 4}}',
) -> Object:
    """A RayService of the chart. A ``status`` that is not given is that of one that serves."""
    head = {"containers": [{"name": "ray-head", "image": "dllm-cluster:0.1.0"}]}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {
            "name": SERVICE,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/instance": RELEASE},
            "annotations": {} if declared is None else {ANNOTATION: declared},
        },
        "spec": {
            "serveConfigV2": yaml.safe_dump(serve_document(configuration or args(LARGE, SMALL)), sort_keys=False),
            "rayClusterConfig": {
                "enableInTreeAutoscaling": True,
                "headGroupSpec": {"rayStartParams": {"num-cpus": "0"}, "template": {"spec": head}},
                "workerGroupSpecs": mixed_groups() if groups is None else groups,
            },
        },
        "status": active_status() if status is None else status,
    }


def ray_cluster(replicas: Mapping[str, int], name: str = CLUSTER) -> Object:
    """The Ray cluster of the service, with what the autoscaler wants of each group."""
    spec = ray_service()["spec"]["rayClusterConfig"]
    groups = [{**each, "replicas": replicas.get(each["groupName"], 0)} for each in spec["workerGroupSpecs"]]
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"ray.io/originated-from-cr-name": SERVICE}},
        "spec": {**spec, "workerGroupSpecs": groups},
    }
