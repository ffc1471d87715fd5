"""The loop of ``dllm k8s capacity --watch`` as the process that a pod runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.kubernetes import things

LEASE = "release-dllm-cluster-capacity"


@pytest.mark.full
def test_the_loop_sets_bounds_and_lets_go_of_its_lease_at_the_end(tmp_path: Path) -> None:
    with things.kubernetes_server() as server:
        server.put(things.ray_service())
        server.put(things.node("n1", things.H100))
        kubeconfig = server.kubeconfig(tmp_path / "kubeconfig", things.NAMESPACE)
        command = [sys.executable, "-m", "cluster", "k8s", "capacity", "--watch"]
        arguments = [
            f"--namespace={things.NAMESPACE}",
            f"--release={things.RELEASE}",
            f"--lease={LEASE}",
            "--interval=1s",
        ]
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        with subprocess.Popen(
            [*command, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as loop:
            server.requests.wait_for(lambda asked: (asked.verb, asked.resource) == ("patch", "rayservices"))
            loop.terminate()
            told, failed = loop.communicate(timeout=30)
        assert (loop.returncode, failed) == (0, "")
        assert told.splitlines()[0].startswith("release-dllm-cluster: h100: 1 to 1: room for 1 of llada/large")
        assert server.read("Lease", LEASE, things.NAMESPACE)["spec"]["holderIdentity"] == ""
        bounds = server.read("RayService", things.SERVICE, things.NAMESPACE)["spec"]["rayClusterConfig"]
        assert [group["maxReplicas"] for group in bounds["workerGroupSpecs"]] == [2, 1, 0]
