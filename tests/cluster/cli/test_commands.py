from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cluster.cli.main import app
from cluster.runtime import RunningCluster, RuntimeDirectory
from tests.cluster.clusters import KEY

HOSTED_BY_NOTHING = """
from contextlib import nullcontext
from cluster.local import run
from cluster.runtime import RuntimeDirectory
from tests.cluster.clusters import configuration
run(configuration(), RuntimeDirectory.of_user(), lambda *given: nullcontext(), lambda running: print(flush=True))
"""


def dllm(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RuntimeDirectory:
    """A runtime folder of the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return RuntimeDirectory.of_user()


@pytest.fixture
def cluster(runtime: RuntimeDirectory) -> Iterator[RunningCluster]:
    """A running cluster that answers nobody."""
    command = [sys.executable, "-c", HOSTED_BY_NOTHING]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        running = runtime.read()
        assert running is not None
        yield running
        process.terminate()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_without_a_cluster_status_fails_and_down_has_nothing_to_do() -> None:
    status = dllm("status")
    assert (status.exit_code, status.stderr) == (1, "dllm: no cluster is running\n")
    for _ in range(2):
        down = dllm("down")
        assert (down.exit_code, down.stdout) == (0, "No cluster is running.\n")


def test_status_shows_the_running_cluster(cluster: RunningCluster) -> None:
    assert f"process  {cluster.pid}" in dllm("status").stdout
    shown = json.loads(dllm("status", "--json").stdout)
    assert (shown["pid"], shown["base_url"], shown["ready"]) == (cluster.pid, cluster.base_url, False)
    assert KEY not in json.dumps(shown)


def test_down_stops_the_running_cluster(cluster: RunningCluster, runtime: RuntimeDirectory) -> None:
    down = dllm("down")
    assert (down.exit_code, down.stdout) == (0, "The cluster has stopped.\n")
    assert not runtime.is_held()


@pytest.mark.parametrize("mode", [[], ["--detach"]])
def test_a_second_cluster_is_refused(cluster: RunningCluster, mode: list[str]) -> None:
    up = dllm("up", *mode)
    assert up.exit_code == 1
    assert "a cluster is running already" in up.stderr


def test_a_failing_start_in_the_background_shows_the_end_of_its_log(tmp_path: Path, taken_port: int) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(f"http: {{port: {taken_port}}}")
    up = dllm("up", "--detach", "--json", "--config", str(file))
    assert (up.exit_code, up.stdout) == (1, "")
    assert f"cannot listen on 127.0.0.1:{taken_port}: Address already in use" in up.stderr


@pytest.mark.parametrize("command", [["config", "check"], ["up", "--config"]])
def test_a_bad_configuration_is_refused_with_its_path(tmp_path: Path, command: list[str]) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("models: [{id: a, checkpoint: b, pools: [{replicaz: 1}]}]")
    refusal = dllm(*command, str(file))
    assert refusal.exit_code == 1
    assert "models.0.pools.0.replicaz: unknown key" in refusal.stderr


def test_the_example_configuration_is_valid() -> None:
    example = Path(__file__).parents[3] / "cluster.yaml"
    assert dllm("config", "check", str(example)).stdout == f"{example} is valid.\n"


def test_the_access_rule_of_the_state_user_is_printed_without_the_password(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("state: {url: 'redis://dllm:the-password@state:6379/0'}")
    rule = dllm("config", "acl", str(file)).stdout
    assert rule.startswith("ACL SETUSER dllm reset on #")
    assert " ~dllm:* " in rule
    assert "+eval" in rule
    assert "the-password" not in rule


@pytest.mark.parametrize("url", ["embedded", "redis://state:6379/0"])
def test_a_state_without_a_user_has_no_access_rule(tmp_path: Path, url: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(f"state: {{url: '{url}'}}")
    refusal = dllm("config", "acl", str(file))
    assert (refusal.exit_code, refusal.stdout) == (1, "")
    assert "user" in refusal.stderr
