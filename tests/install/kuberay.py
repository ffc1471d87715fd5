"""The pods that KubeRay makes of a RayService, as its ``pod.go`` does in version 1.7: pure, from document to document.

Left out is what needs a Kubernetes API: the autoscaler's container beside the head, and owner references.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

NAMESPACE = "dllm"
GCS_PORT, DASHBOARD_PORT, SERVE_PORT, AGENT_PORT, METRICS_PORT = 6379, 8265, 8000, 52365, 8080
RECONNECT_SECONDS = "600"
EXPLICIT_BOOLEANS = ("log-color", "include-dashboard", "include-log-monitor")

UNITS: dict[str, Decimal] = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{name: Decimal(1000**power) for power, name in enumerate("kMGT", 1)},
    **{f"{name}i": Decimal(1024**power) for power, name in enumerate("KMGT", 1)},
}

WGET = "wget --tries 1 -T %d -q -O- http://localhost:%d/%s | grep success"
PERIODS: Json = {"initialDelaySeconds": 10, "timeoutSeconds": 2, "periodSeconds": 5, "failureThreshold": 1}


def cluster_name(service: Json) -> str:
    """Of the RayCluster of a RayService."""
    return f"{service['metadata']['name']}-cluster"


def head_service(service: Json) -> str:
    """The name of the Service before the head."""
    return f"{cluster_name(service)}-head-svc"


def head_address(service: Json) -> str:
    """By which workers find the head."""
    return f"{head_service(service)}.{NAMESPACE}.svc.cluster.local"


def head_pod(service: Json, name: str) -> Json:
    """The pod of the head."""
    spec = copy.deepcopy(service["spec"]["rayClusterConfig"])
    group = spec["headGroupSpec"]
    params = _params(group)
    params.setdefault("dashboard-host", "0.0.0.0")  # noqa: S104 - as KubeRay has it
    if spec.get("enableInTreeAutoscaling"):
        params["no-monitor"] = "true"
    options = spec.get("gcsFaultToleranceOptions")
    environment: list[Json] = []
    if options is not None:
        namespace = options.get("externalStorageNamespace", "uid-of-the-cluster")
        environment.append({"name": "RAY_external_storage_namespace", "value": namespace})
        environment.append({"name": "RAY_REDIS_ADDRESS", "value": options["redisAddress"]})
        for key, variable in (("redisUsername", "REDIS_USERNAME"), ("redisPassword", "REDIS_PASSWORD")):
            if key in options:
                params[key.replace("redisU", "redis-u").replace("redisP", "redis-p")] = f"${variable}"
                environment.append({"name": variable, **options[key]})
    return _pod(service, group, name, "headgroup", "head", params, environment)


def worker_pod(service: Json, group_name: str, name: str) -> Json:
    """One of the pods of a worker group."""
    spec = copy.deepcopy(service["spec"]["rayClusterConfig"])
    group = next(group for group in spec["workerGroupSpecs"] if group["groupName"] == group_name)
    params = _params(group)
    params.setdefault("address", f"{head_address(service)}:{GCS_PORT}")
    environment: list[Json] = []
    if "gcsFaultToleranceOptions" in spec:
        environment.append({"name": "RAY_gcs_rpc_server_reconnect_timeout_s", "value": RECONNECT_SECONDS})
    return _pod(service, group, name, group_name, "worker", params, environment)


def start_command(kind: str, params: Mapping[str, str]) -> str:
    """``ray start`` with its options in order; those that are switches have no argument."""
    flags = []
    for name in sorted(params):
        value = str(params[name])
        if value.lower() not in ("true", "false") or name in EXPLICIT_BOOLEANS:
            flags.append(f"--{name}={value}")
        elif value.lower() == "true":
            flags.append(f"--{name}")
    return " ".join(["ray start", *(["--head"] if kind == "head" else []), *flags])


def quantity(text: str | int) -> Decimal:
    """A quantity of Kubernetes as a number."""
    digits = str(text).rstrip("mkKMGTi")
    return Decimal(digits) * UNITS[str(text)[len(digits) :]]


def _params(group: Json) -> dict[str, str]:
    params: dict[str, str] = dict(group.get("rayStartParams") or {})
    if group.get("labels"):
        params["labels"] = ",".join(f"{key}={value}" for key, value in sorted(group["labels"].items()))
    for name, amount in (group.get("resources") or {}).items():
        params[{"cpu": "num-cpus", "memory": "memory"}[name.lower()]] = _whole(amount)
    params.setdefault("metrics-export-port", str(METRICS_PORT))
    params["block"] = "true"
    params.setdefault("dashboard-agent-listen-port", str(AGENT_PORT))
    return params


def _whole(amount: str | int) -> str:
    """Rounded up, as resource.Quantity.Value does."""
    value = quantity(amount)
    return str(int(value) + (value != int(value)))


def _pod(
    service: Json, group: Json, name: str, group_name: str, kind: str, params: dict[str, str], environment: list[Json]
) -> Json:
    template = group["template"]
    container = template["spec"]["containers"][0]
    resources = container.get("resources", {})
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    if "cpu" in limits or "cpu" in requests:
        params.setdefault("num-cpus", _whole(limits.get("cpu", requests.get("cpu"))))
    if "memory" in limits:
        params.setdefault("memory", _whole(limits["memory"]))
    command = start_command(kind, params)
    own = " ".join(container.get("command", []) + container.get("args", []))
    generated = f"ulimit -n ${{RAY_START_ULIMIT_OPEN_FILES:-65536}}; {command}"
    overwrites = service["spec"]["rayClusterConfig"].get("metadata", {}).get("annotations", {})
    metadata = template.get("metadata", {})
    annotations = {**overwrites, **service["metadata"].get("annotations", {}), **metadata.get("annotations", {})}
    if annotations.get("ray.io/overwrite-container-cmd") != "true" and "ray start" not in own:
        container["command"] = ["/bin/bash", "-c", "--"]
        container["args"] = [f"{own} && {generated}" if own else generated]
    container["env"] = [*container.get("env", []), *environment, *_environment(service, kind, command)]
    _mount_shared_memory(template["spec"], container)
    _probe(container, kind)
    labels = {**metadata.get("labels", {}), **(group.get("labels") or {})}
    labels |= {
        "ray.io/is-ray-node": "yes",
        "ray.io/cluster": cluster_name(service),
        "ray.io/node-type": kind,
        "ray.io/group": group_name,
        "ray.io/serve": "true" if kind == "worker" else "false",
    }
    about = {"name": name, "namespace": NAMESPACE, "labels": labels, "annotations": annotations}
    return {"metadata": about, "spec": template["spec"]}


def _environment(service: Json, kind: str, command: str) -> list[Json]:
    """What KubeRay adds to what a container has; the container's own comes first."""
    address = "127.0.0.1" if kind == "head" else head_address(service)
    fields = {
        "RAY_CLUSTER_NAME": "metadata.labels['ray.io/cluster']",
        "RAY_CLUSTER_NAMESPACE": "metadata.namespace",
        "RAY_CLOUD_INSTANCE_ID": "metadata.name",
        "RAY_NODE_TYPE_NAME": "metadata.labels['ray.io/group']",
    }
    values = {
        "KUBERAY_GEN_RAY_START_CMD": command,
        "RAY_PORT": str(GCS_PORT),
        "RAY_timeout_ms_task_wait_for_death_info": "0",
        "RAY_gcs_server_request_timeout_seconds": "5",
        "RAY_SERVE_KV_TIMEOUT_S": "5",
        "RAY_ADDRESS": f"{address}:{GCS_PORT}",
        "RAY_USAGE_STATS_KUBERAY_IN_USE": "1",
        "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE": "1",
    }
    if kind == "worker":
        values |= {"FQ_RAY_IP": address, "RAY_IP": address.partition(".")[0]}
    found = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    found += [{"name": name, "value": value} for name, value in values.items()]
    options = service["spec"]["rayClusterConfig"].get("authOptions") or {}
    if options.get("mode") == "token":
        secret = {"name": options.get("secretName") or cluster_name(service), "key": "auth_token"}
        found.append({"name": "RAY_AUTH_MODE", "value": "token"})
        found.append({"name": "RAY_AUTH_TOKEN", "valueFrom": {"secretKeyRef": secret}})
    return found


def _mount_shared_memory(spec: Json, container: Json) -> None:
    mounts = container.setdefault("volumeMounts", [])
    if all(mount["mountPath"] != "/dev/shm" for mount in mounts):
        mounts.append({"name": "shared-mem", "mountPath": "/dev/shm"})
        spec.setdefault("volumes", []).append({"name": "shared-mem", "emptyDir": {"medium": "Memory"}})


def _probe(container: Json, kind: str) -> None:
    """Since Ray 2.53 a node's health is one endpoint; a worker of a RayService has to have a healthy proxy besides."""
    if kind == "head":
        container.setdefault("readinessProbe", {**PERIODS, "httpGet": {"path": "/api/healthz", "port": AGENT_PORT}})
        return
    raylet, proxy = WGET % (2, AGENT_PORT, "api/local_raylet_healthz"), WGET % (10, SERVE_PORT, "-/healthz")
    container.setdefault("readinessProbe", {**PERIODS, "exec": {"command": ["bash", "-c", f"{raylet} && {proxy}"]}})
