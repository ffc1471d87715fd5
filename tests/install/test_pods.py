"""Pods of this machine are as closed as those of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.installed import IMAGE
from tests.install.network import PodNetwork, obstacle, pod_network
from tests.install.pod import Container, Mount, Pod
from tests.install.services import Service

pytestmark = pytest.mark.full

SERVER = "import http.server as h; h.HTTPServer(('0.0.0.0', 8000), h.SimpleHTTPRequestHandler).serve_forever()"
SECONDS = 30.0


@pytest.fixture
def network() -> Iterator[PodNetwork]:
    reason = obstacle()
    if reason is not None:
        pytest.skip(reason)
    with pod_network() as network:
        yield network


@pytest.fixture
def pods(network: PodNetwork, tmp_path: Path) -> Iterator[list[Pod]]:
    pods = [Pod(name, network.new_address(), {}, network, tmp_path / name) for name in ("first", "second")]
    for pod in pods:
        pod.create()
    yield pods
    for pod in pods:
        pod.kill()


def ask(pod: Pod, address: str) -> int:
    """The exit code of a request from ``pod``."""
    command = ["wget", "--tries=30", "--retry-connrefused", "--waitretry=1", "-T2", "-qO-", f"http://{address}:8000/"]
    return pod.finish(Container("ask", command, IMAGE), SECONDS)


def test_a_container_has_its_mounts_its_user_and_nothing_else(pods: list[Pod], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    script = [
        "id -u; hostname; cat /etc/dllm/admin/key; echo; touch /tmp/mine && echo written",
        "touch /etc/mine || echo refused; touch /etc/dllm/admin/key || echo refused; grep CapEff /proc/self/status",
        "grep NoNewPrivs /proc/self/status; ls /proc | grep -c '^[0-9]'",
    ]
    mounts = [Mount("/tmp"), Mount("/etc/dllm/admin/key", secret, read_only=True)]
    container = Container("main", ["sh", "-c", "; ".join(script)], IMAGE, mounts, 65532, 65532, read_only=True)
    assert pods[0].finish(container, SECONDS) == 0
    said = [line for line in pods[0].output("main").splitlines() if not line.startswith("touch:")]
    assert said[:6] == ["65532", "first", "s3cret", "written", "refused", "refused"]
    assert said[6].split() == ["CapEff:", "0" * 16]
    assert said[7].split() == ["NoNewPrivs:", "1"]
    assert int(said[8]) <= 4, "processes of others are seen"
    assert not Path("/etc/mine").exists()


def test_pods_reach_each_other_until_one_is_cut_off(pods: list[Pod]) -> None:
    first, second = pods
    first.run(Container("server", ["python", "-c", SERVER], IMAGE))
    assert ask(second, first.address) == 0
    first.cut_off()
    command = ["wget", "--tries=1", "-T1", "-qO-", f"http://{first.address}:8000/"]
    assert second.finish(Container("again", command, IMAGE), SECONDS) != 0


def test_a_service_leads_to_the_pods_that_take_connections(network: PodNetwork, pods: list[Pod]) -> None:
    ready: list[str] = []
    service = Service(network, lambda: ready, [(8000, 8000)])
    pods[0].run(Container("server", ["python", "-c", SERVER], IMAGE))
    assert ask(pods[1], pods[0].address) == 0
    alone = ["wget", "--tries=1", "-T2", "-qO-", f"http://{service.address}:8000/"]
    assert pods[1].finish(Container("none", alone, IMAGE), SECONDS) != 0
    ready.append(pods[0].address)
    assert pods[1].finish(Container("some", alone, IMAGE), SECONDS) == 0
