"""Locust as a shell runs it, against a real cluster."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.client.admin import AdminClient
from cluster.runtime import RunningCluster, RuntimeDirectory
from cluster.valkey import free_port
from loadtest.arrivals.schedule import schedule
from loadtest.scenario.scenario import load_scenario
from tests.cluster.shell import dllm

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "loadtest" / "scenarios"
POLL_SECONDS = 0.2
POOL = {"cpus": 0.2, "replicas": 2}
CONFIGURATION = {
    "http": {"port": 0},
    "grpc": {"port": 0},
    "admin": {"port": 0},
    "gateway": {"cpus": 0.1},
    "models": [
        {"id": "tiny-code", "checkpoint": "embedded:tiny-code", "pools": [POOL]},
        {"id": "tiny-sudoku", "checkpoint": "embedded:tiny-sudoku", "pools": [{"cpus": 0.1}]},
    ],
}
SHORT: dict[str, Any] = {
    "warm_up_seconds": 2.0,
    "seconds": 8.0,
    "arrivals": {"peak_per_second": 1.5},
    "tenants": [{"name": "load-acme", "kinds": {"chat_stream": 2, "unary": 1, "infill": 1, "grpc_stream": 1}}],
    "gates": [{"figure": "failed", "most": 0}, {"figure": "answered", "least": 1}],
}
KILL_A_REPLICA = """
import os, pathlib, signal
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        title, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
    except OSError:
        continue
    ours = ("XDG_RUNTIME_DIR=" + os.environ["XDG_RUNTIME_DIR"]).encode()
    if title.startswith(b"ray::ServeReplica:dllm:worker:tiny-code") and ours in environment.split(b"\\0"):
        os.kill(int(process.name), signal.SIGKILL)
        break
else:
    raise SystemExit("no replica")
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that was started with ``home``."""

    home: Path
    running: RunningCluster

    def locust(self, folder: Path, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.home)}
        command = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--only-summary", *arguments]
        with (folder / f"locust-{len(list(folder.glob('locust-*')))}.log").open("w") as log:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, text=True)

    def load(self, folder: Path, scenario: Path) -> tuple[int, dict[str, Any]]:
        """The exit status of a run alone, and its report."""
        arguments = ("--headless", "--scenario", str(scenario), "--report", str(folder / "report"))
        status = self.locust(folder, *arguments).wait()
        return status, json.loads((folder / "report" / "report.json").read_text())

    def admin(self) -> AdminClient:
        return AdminClient(self.running.admin_url, self.running.admin_key)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("home")
    file = home / "cluster.yaml"
    file.write_text(yaml.safe_dump(CONFIGURATION))
    up = dllm(home, "up", "--config", str(file), "--detach")
    assert up.returncode == 0, up.stderr
    running = RuntimeDirectory.of_user({"XDG_RUNTIME_DIR": str(home)}).read()
    assert running is not None
    try:
        yield Cluster(home, running)
    finally:
        dllm(home, "down")


def written(folder: Path, **changes: Any) -> Path:
    """A short scenario in a file."""
    file = folder / "short.yaml"
    file.write_text(yaml.safe_dump({"name": "short"} | SHORT | changes))
    return file


def test_two_minutes_of_everything_pass_every_gate_and_leave_nothing(cluster: Cluster, tmp_path: Path) -> None:
    status, report = cluster.load(tmp_path, SCENARIOS / "two-minutes.yaml")
    assert status == 0, (report["verdicts"], report["results"]["examples"])
    assert set(report["results"]["outcomes"]) == {"ok"}
    assert len(report["results"]["kinds"]) == 9
    samples = [json.loads(line) for line in (tmp_path / "report" / "samples.jsonl").read_text().splitlines()]
    assert [each["number"] for each in samples] == list(range(len(samples)))
    streams = [each for each in samples if each["kind"] == "chat_stream"]
    assert all(each["first_commit"] < each["seconds"] for each in streams)
    with cluster.admin() as admin:
        assert {tenant.name for tenant in admin.tenants()} == {"dev"}
        assert [queue.running for queue in admin.queues().data] == [0, 0]


def test_workers_share_the_same_requests(cluster: Cluster, tmp_path: Path) -> None:
    file, port = written(tmp_path), str(free_port())
    common = ("--scenario", str(file))
    place = ("--master-host", "127.0.0.1", "--master-port", port)
    workers = [cluster.locust(tmp_path, "--worker", *place, *common) for _ in range(2)]
    bound = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2")
    report_at = ("--report", str(tmp_path / "report"))
    master = cluster.locust(tmp_path, "--master", "--headless", *bound, *common, *report_at)
    assert [process.wait() for process in (master, *workers)] == [0, 0, 0]
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["environment"]["processes"] == 2
    samples = (tmp_path / "report" / "samples.jsonl").read_text().splitlines()
    assert len(samples) == len(schedule(load_scenario(file), tmp_path))


def test_a_worker_with_another_scenario_is_found_out(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    ours, theirs, port = written(tmp_path), written(tmp_path / "other", seed=1), str(free_port())
    worker = cluster.locust(
        tmp_path, "--worker", "--master-host", "127.0.0.1", "--master-port", port, "--scenario", str(theirs)
    )
    bound = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "1")
    master = cluster.locust(tmp_path, "--master", "--headless", *bound, "--scenario", str(ours))
    assert master.wait() == 2
    worker.wait()


def test_a_gate_that_is_missed_is_the_exit_status(cluster: Cluster, tmp_path: Path) -> None:
    file = written(tmp_path, gates=[{"figure": "p50_seconds", "most": 1e-6}])
    status, report = cluster.load(tmp_path, file)
    assert (status, report["passed"]) == (1, False)


def test_nobody_notices_the_loss_of_a_replica(cluster: Cluster, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILL_A_REPLICA]
    tenants = [{"name": "load-acme", "kinds": {"chat_stream": 2, "stored_stream": 1, "job": 1}}]
    file = written(tmp_path, tenants=tenants, disturbances=[{"after_seconds": 4.0, "command": command}])
    status, report = cluster.load(tmp_path, file)
    assert status == 0, (report["verdicts"], report["results"]["examples"])
    assert [each["status"] for each in report["disturbed"]] == [0]


def test_an_interrupted_test_has_failed_and_leaves_no_key(cluster: Cluster, tmp_path: Path) -> None:
    file = written(tmp_path, seconds=600.0, tenants=[{"name": "load-interrupted"}])
    running = cluster.locust(tmp_path, "--headless", "--scenario", str(file), "--report", str(tmp_path / "report"))
    with cluster.admin() as admin:
        while not any("load-interrupted" in queue.counters for queue in admin.queues().data):
            assert running.poll() is None
            time.sleep(POLL_SECONDS)
        running.send_signal(signal.SIGINT)
        assert running.wait() == 1
        assert "load-interrupted" not in {tenant.name for tenant in admin.tenants()}
    assert json.loads((tmp_path / "report" / "report.json").read_text())["passed"] is False


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "--scenario is not given"),
        (("--scenario", "absent.yaml"), r"absent\.yaml"),
        (("--scenario", str(SCENARIOS / "trace.yaml")), r"AzureLLMInferenceTrace_code\.csv"),
        (("--scenario", str(SCENARIOS / "ramp.yaml")), "no cluster is running here"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    command = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", *arguments]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(complaint, done.stderr)
