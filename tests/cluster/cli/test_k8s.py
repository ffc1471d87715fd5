"""``dllm k8s`` as people run it: by a kubeconfig, against an API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cluster.cli.main import app
from cluster.kubernetes.ray_service import ray_service_of
from cluster.kubernetes.services import running_config
from tests.cluster.kubernetes import things
from tests.cluster.kubernetes.api_server import ApiServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with things.kubernetes_server() as server:
        server.put(things.ray_service())
        server.put(things.node("n1", things.H100))
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path / "kubeconfig", things.NAMESPACE)))
        yield server


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["k8s", *arguments])


def config_file(tmp_path: Path, *pools: things.Object, **changes: Any) -> str:
    """A configuration as people write it: nothing of what the chart adds is in it."""
    model = {"id": "llada", "checkpoint": "/models/llada", "device": "cuda", "pools": list(pools)}
    tree = {"gateway": {"replicas": 2, "cpus": 1.0}, "models": [model], **changes}
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return str(file)


def test_status_shows_groups_and_deployments(server: ApiServer) -> None:
    server.put(things.pod("h-1", "h100", None, message="0/1 nodes are available: 1 Insufficient nvidia.com/gpu."))
    result = run("status")
    assert result.exit_code == 0, result.output
    head, *rest = result.stdout.splitlines()
    assert head == f"dllm/{things.SERVICE}: it serves, and nothing is left to be done."
    assert ["h100", "0", "1", "-", "1", "4"] in [line.split() for line in rest]
    assert "  on 1 node too little nvidia.com/gpu is free" in rest


def test_status_of_what_does_not_serve_fails(server: ApiServer) -> None:
    unready = [things.condition("Ready", False, "Initializing", "No pods yet")]
    server.put(things.ray_service(status=things.active_status(conditions=unready)))
    result = run("status", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["serves"], told["summary"]) == (1, False, "it does not serve: No pods yet")


def test_capacity_shows_and_sets_bounds(server: ApiServer) -> None:
    shown = run("capacity")
    assert shown.exit_code == 0, shown.output
    assert "release-dllm-cluster has others; --apply sets them." in shown.stdout
    assert "llada/small: no room for 1 of the replicas that it always has: l40s: no node" in shown.stdout
    told = json.loads(run("capacity", "--apply", "--json").stdout)
    assert told["patched"]
    assert {each["group"]: each["most"] for each in told["bounds"]} == {"h100": 1, "l40s": 0}
    assert run("capacity").stdout.splitlines()[-1] == "release-dllm-cluster has these bounds."


def test_capacity_says_why_it_does_nothing(server: ApiServer) -> None:
    server.put(things.ray_service(status=things.active_status(pendingServiceStatus={"rayClusterName": "next"})))
    assert run("capacity", "--apply").stdout.startswith(f"{things.SERVICE} is left alone: an upgrade is in progress")


def test_apply_replaces_the_configuration_and_nothing_else(server: ApiServer, tmp_path: Path) -> None:
    before = server.read("RayService", things.SERVICE, things.NAMESPACE)
    file = config_file(tmp_path, {**things.LARGE, "max_running": 8}, things.SMALL, state={"url": "redis://mine:6379/0"})
    dry = run("apply", "--dry-run", file)
    assert dry.exit_code == 0, dry.output
    assert "+    max_running: 8" in dry.stdout
    assert "dllm: state.url: left as it is, since the chart says it" in dry.stderr
    assert server.read("RayService", things.SERVICE, things.NAMESPACE) == before
    done = run("apply", file)
    assert done.exit_code == 0, done.output
    after = server.read("RayService", things.SERVICE, things.NAMESPACE)
    config = running_config(ray_service_of(after))
    assert (config.models[0].pools[0].max_running, config.state.url[:18]) == (8, "redis://dllm@state")
    assert {**after["spec"], "serveConfigV2": ""} == {**before["spec"], "serveConfigV2": ""}
    assert run("apply", file).stdout == f"{things.SERVICE} runs this configuration.\n"


def test_apply_refuses_what_needs_other_pods(server: ApiServer, tmp_path: Path) -> None:
    file = config_file(tmp_path, {**things.LARGE, "gpus": 4.0}, things.SMALL, http={"max_body_bytes": 2 << 20})
    result = run("apply", file)
    assert result.exit_code == 1
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["http.max_body_bytes", "pool llada/large"]
    assert not any(asked.verb == "patch" for asked in server.requests.arrived)
    told = json.loads(run("apply", "--json", file).stdout)
    assert (told["applied"], len(told["refusals"])) == (False, 2)


def test_apply_of_a_file_that_is_none_says_why(server: ApiServer, tmp_path: Path) -> None:
    result = run("apply", config_file(tmp_path, things.LARGE, beams=4))
    assert (result.exit_code, result.stderr) == (1, "dllm: the configuration is refused\nbeams: unknown key\n")


def test_apply_that_somebody_else_came_before_changes_nothing(server: ApiServer, tmp_path: Path) -> None:
    server.refuse(422, "patch", "rayservices")
    result = run("apply", config_file(tmp_path, things.LARGE))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"dllm: {things.SERVICE} was changed meanwhile")


def test_render_prints_values_and_notes(server: ApiServer, tmp_path: Path) -> None:
    result = run("render", config_file(tmp_path, things.LARGE))
    assert result.exit_code == 0, result.output
    values = yaml.safe_load(result.stdout)
    assert values["workers"]["h100"]["accelerator"] == "H100"
    assert result.stderr == "dllm: h100: up to 4 pods, of which the nodes that there are hold 1\n"
    refused = run("render", config_file(tmp_path, things.SMALL))
    assert (refused.exit_code, refused.stderr) == (
        1,
        "dllm: pool llada/small: no node has 1 L40S; the cluster has 1 H100 a node\n",
    )


def test_wait_returns_when_the_release_is_settled_and_fails_when_the_time_is_up(server: ApiServer) -> None:
    settled = run("wait", "--timeout", "30s")
    assert (settled.exit_code, settled.stdout) == (0, "it serves, and nothing is left to be done\n")
    server.put(things.ray_service(status=things.active_status({"dllm": {"status": "DEPLOYING"}})))
    late = run("wait", "--timeout", "0s")
    assert late.exit_code == 1
    assert late.stderr == f"dllm: {things.SERVICE} after 0 s: the application dllm is DEPLOYING\n"


def test_drain_cordons_and_empties_a_node(server: ApiServer) -> None:
    server.put(things.ray_cluster({}))
    server.put(things.pod("h-1", "h100", "n1"))
    result = run("drain", "n1", "--timeout", "1m")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:2] == ["n1 is cordoned", "evicted h-1"]
    assert result.stdout.splitlines()[-1] == "n1 holds no pod of release"
    assert server.names("Pod", things.NAMESPACE) == []
    assert run("drain", "n1").stdout.startswith("n1 is cordoned already\n")


def test_a_node_that_is_not_there_is_told(server: ApiServer) -> None:
    result = run("drain", "n9")
    assert (result.exit_code, result.stderr) == (1, 'dllm: nodes "n9" not found\n')


@pytest.mark.parametrize("arguments", [["status"], ["capacity"], ["wait"], ["drain", "n1"]])
def test_a_missing_right_is_told_in_a_line(server: ApiServer, arguments: list[str]) -> None:
    server.refuse(403, "list", "rayservices")
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.endswith("; operator.subjects of the chart gives these rights\n")
    assert len(result.stderr.splitlines()) == 1


def test_another_namespace_and_release_are_asked_for(server: ApiServer) -> None:
    nothing = run("status", "--namespace", "default")
    assert (nothing.exit_code, nothing.stderr) == (1, "dllm: no RayService in the namespace default\n")
    other = run("status", "--release", "other")
    assert other.stderr == "dllm: no RayService of the release other in the namespace dllm\n"
    assert run("status", "--release", things.RELEASE).exit_code == 0


def test_a_context_that_is_not_there_is_told(server: ApiServer) -> None:
    result = run("status", "--context", "elsewhere")
    assert result.exit_code == 1
    assert result.stderr.startswith("dllm: no cluster: ")
    assert len(result.stderr.splitlines()) == 1


def test_without_a_kubeconfig_nothing_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    result = run("status")
    assert result.exit_code == 1
    assert result.stderr.startswith("dllm: no cluster: ")
