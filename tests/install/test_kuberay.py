"""The pods that KubeRay makes of the chart's RayService."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.install.conftest import MODELS, chart
from tests.install.kuberay import head_pod, quantity, start_command, worker_pod
from tests.install.objects import Objects


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    return Objects(chart(MODELS)).only("RayService")


def environment(pod: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0]["env"]}


def test_a_head_starts_with_what_the_chart_and_kuberay_say(service: dict[str, Any]) -> None:
    pod = head_pod(service, "head-1")
    container = pod["spec"]["containers"][0]
    assert container["command"] == ["/bin/bash", "-c", "--"]
    limit, command = container["args"][0].split("; ")
    assert limit.startswith("ulimit -n ")
    assert command.startswith("ray start --head --block --dashboard-agent-listen-port=52365 --dashboard-host=0.0.0.0 ")
    words = set(command.split())
    assert {"--num-cpus=0", "--metrics-export-port=8080", "--redis-password=$REDIS_PASSWORD"} <= words
    assert environment(pod)["RAY_REDIS_ADDRESS"] == f"{service['metadata']['name']}-gcs:6379"
    assert pod["metadata"]["labels"]["ray.io/node-type"] == "head"


def test_a_worker_joins_the_head_with_its_labels(service: dict[str, Any]) -> None:
    pod = worker_pod(service, "cpu", "cpu-1")
    (argument,) = pod["spec"]["containers"][0]["args"]
    name = f"{service['metadata']['name']}-cluster-head-svc.dllm.svc.cluster.local:6379"
    assert f" --address={name} " in argument
    assert " --labels=dllm/pool=cpu,dllm/role=worker " in argument
    assert "--head" not in argument
    assert environment(pod)["RAY_ADDRESS"] == name
    assert environment(pod)["RAY_gcs_rpc_server_reconnect_timeout_s"] == "600"
    mounts = {each["mountPath"] for each in pod["spec"]["containers"][0]["volumeMounts"]}
    assert "/dev/shm" in mounts
    assert service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"] is not pod["spec"]


def test_switches_have_no_argument() -> None:
    params = {"block": "true", "no-monitor": "false", "include-dashboard": "false", "num-cpus": "2"}
    assert start_command("worker", params) == "ray start --block --include-dashboard=false --num-cpus=2"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", Decimal(2)),
        ("500m", Decimal("0.5")),
        ("1500Mi", Decimal(1500 << 20)),
        ("2k", Decimal(2000)),
        (3, Decimal(3)),
    ],
)
def test_quantities_are_those_of_kubernetes(text: str | int, number: Decimal) -> None:
    assert quantity(text) == number
