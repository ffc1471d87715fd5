"""The roles of the chart grant what the commands ask of the API, and nothing else."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cluster.cli.k8s.app import app
from cluster.kubernetes.keeping import Keeping, keep
from cluster.kubernetes.settle import Settlement
from cluster.kubernetes.shortage import Shortage
from tests.cluster.kubernetes.api_server import ApiServer
from tests.cluster.kubernetes.api_server.access import granted, service_account
from tests.cluster.kubernetes.things import (
    L40S,
    NAMESPACE,
    RELEASE,
    SERVICE,
    active_status,
    kubernetes_server,
    node,
    pod,
    ray_cluster,
    reached,
)
from tests.cluster.kubernetes.verbs import CAPACITY_LOOP, COMMANDS, PEOPLE, rules
from tests.helm.chart import pick, render, values_file

Object = dict[str, Any]
Verbs = dict[tuple[str, str], frozenset[str]]

PERSON, LOOP = "person", f"{SERVICE}-capacity"
SUBJECT = {"kind": "ServiceAccount", "name": PERSON, "namespace": NAMESPACE}
ROLES = ("ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding")


@pytest.fixture(scope="module")
def chart() -> list[Object]:
    return render("mixed", operator__subjects=json.dumps([SUBJECT]), capacity__enabled="true")


@pytest.fixture(scope="module")
def server(chart: list[Object]) -> Iterator[ApiServer]:
    """A cluster with the chart's roles, its RayService, and room for one pod of each worker group."""
    with kubernetes_server(access_control=True) as running:
        for kind in ROLES:
            for document in chart:
                if document["kind"] == kind:
                    running.put(document, NAMESPACE)
        for document in (node("n1"), node("n2", L40S), ray_cluster({"h100": 1, "l40s": 1})):
            running.put(document)
        yield running


@pytest.fixture
def service(server: ApiServer, chart: list[Object]) -> Iterator[Object]:
    """The RayService as it was installed, with its pods; what was asked before is forgotten."""
    document = {**pick(chart, "RayService"), "status": active_status()}
    yield server.put(document, NAMESPACE)
    server.remove("RayService", SERVICE, NAMESPACE)


@pytest.fixture
def run(server: ApiServer, service: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A command as the person runs it, which has to succeed; its output."""
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig", NAMESPACE, server.token(NAMESPACE, PERSON))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    server.requests.clear()

    def invoke(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.output

    return invoke


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """What the release was installed with, but for one number."""
    tree = yaml.safe_load(values_file("mixed").read_text())["config"]
    tree["models"][0]["pools"][0]["max_running"] = 16
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def used(server: ApiServer, account: str = PERSON) -> Verbs:
    """The verbs by group and resource that an account has asked for."""
    name = service_account(NAMESPACE, account).name
    found: dict[tuple[str, str], set[str]] = {}
    for asked in server.requests.arrived:
        if asked.user == name:
            found.setdefault((asked.group, asked.full_resource), set()).add(asked.verb)
    return {place: frozenset(verbs) for place, verbs in found.items()}


def granted_to(server: ApiServer, account: str) -> Verbs:
    """The verbs by group and resource that the chart grants an account in its namespace."""
    found: dict[tuple[str, str], set[str]] = {}
    for permission in granted(server.registry, service_account(NAMESPACE, account), NAMESPACE):
        found.setdefault((permission.group, permission.resource), set()).add(permission.verb)
    return {place: frozenset(verbs) for place, verbs in found.items()}


@contextmanager
def meanwhile(change: Callable[[], None]) -> Iterator[None]:
    """``change`` on another thread while the block runs."""
    thread = threading.Thread(target=change)
    thread.start()
    yield
    thread.join()


def bounds_change(server: ApiServer, service: Object) -> None:
    """Someone else writes the RayService between a command's look and its patch."""
    held = server.hold("patch", "rayservices")

    def change() -> None:
        held.arrived()
        changed = copy.deepcopy(service)
        for group in changed["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
            group["maxReplicas"] += 1
        del changed["metadata"]["resourceVersion"]
        server.put(changed, NAMESPACE)
        held.release()

    threading.Thread(target=change).start()


def test_render_uses_its_rights(server: ApiServer, run: Callable[..., str], configuration: Path) -> None:
    run("render", str(configuration))
    assert used(server) == rules(COMMANDS["render"])


def test_apply_uses_its_rights(server: ApiServer, run: Callable[..., str], configuration: Path) -> None:
    run("apply", str(configuration), "--dry-run")
    assert server.read("RayService", SERVICE, NAMESPACE)["metadata"]["generation"] == 1
    run("apply", str(configuration))
    assert server.read("RayService", SERVICE, NAMESPACE)["metadata"]["generation"] == 2
    assert used(server) == rules(COMMANDS["apply"])


def test_status_uses_its_rights(server: ApiServer, run: Callable[..., str]) -> None:
    run("status")
    assert used(server) == rules(COMMANDS["status"])


def test_wait_uses_its_rights(server: ApiServer, run: Callable[..., str], service: Object) -> None:
    server.put({**service, "status": active_status(conditions=[])}, NAMESPACE)

    def become_ready() -> None:
        server.watches.await_open("rayservices", 1)
        server.put({**server.read("RayService", SERVICE, NAMESPACE), "status": active_status()}, NAMESPACE)

    with meanwhile(become_ready):
        run("wait", "--timeout", "20s")
    assert used(server) == rules(COMMANDS["wait"])


def test_drain_uses_its_rights(server: ApiServer, run: Callable[..., str]) -> None:
    server.put(pod("leaving", "h100", on="n1"), NAMESPACE)

    def be_replaced() -> None:
        server.requests.wait_for(lambda asked: asked.full_resource == "pods/eviction")
        server.put(pod("replacement", "h100", on="n2"), NAMESPACE)

    with meanwhile(be_replaced):
        run("drain", "n1", "--timeout", "20s")
    assert server.names("Pod") == ["replacement"]
    assert server.read("Node", "n1")["spec"]["unschedulable"]
    assert used(server) == rules(COMMANDS["drain"])
    server.remove("Pod", "replacement", NAMESPACE)
    server.put(node("n1"))


def test_capacity_uses_its_rights(server: ApiServer, run: Callable[..., str], service: Object) -> None:
    bounds_change(server, service)
    run("capacity", "--apply")
    assert used(server) == rules(COMMANDS["capacity"])


def test_the_loop_uses_its_rights(server: ApiServer, service: Object, chart: list[Object]) -> None:
    [container] = pick(chart, "Deployment", "capacity")["spec"]["template"]["spec"]["containers"]
    [lease] = [argument.partition("=")[2] for argument in container["args"] if argument.startswith("--lease=")]
    keeping = Keeping(NAMESPACE, RELEASE, lease, "pod", 0.01, elastic=False)
    stopping, told = threading.Event(), []

    def tell(found: Settlement | Exception) -> None:
        told.append(found)
        stopping.set()

    server.requests.clear()
    bounds_change(server, service)
    keep(reached(server, server.token(NAMESPACE, LOOP)), keeping, Shortage(300.0, 900.0, {}), tell, stopping)
    [settlement] = told
    assert isinstance(settlement, Settlement), settlement
    assert settlement.patched
    assert used(server, LOOP) == rules(CAPACITY_LOOP)


def test_the_role_for_people_grants_every_command_but_the_loop_and_no_more(server: ApiServer) -> None:
    assert granted_to(server, PERSON) == rules(PEOPLE)


def test_the_role_of_the_loop_grants_the_loop_and_no_more(server: ApiServer) -> None:
    assert granted_to(server, LOOP) == rules(CAPACITY_LOOP)


def test_who_has_no_role_is_told_what_is_missing(
    server: ApiServer, run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = server.kubeconfig(tmp_path / "stranger", NAMESPACE, server.token(NAMESPACE, "stranger"))
    monkeypatch.setenv("KUBECONFIG", str(path))
    result = CliRunner().invoke(app, ["status"])
    assert result.exit_code == 1
    assert 'cannot list resource "rayservices" in API group "ray.io" in the namespace "dllm"' in result.output
