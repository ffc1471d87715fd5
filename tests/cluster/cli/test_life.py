"""A real cluster from `dllm up` to `dllm down`, as a shell sees it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cluster.valkey import free_port
from tests.cluster.shell import commands_of, dllm
from tests.docs.pages import page

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found by their environment in /proc")

QUICK_START = """
set -euo pipefail
make() { :; }
"""
CONFIGURATION = """
http: {port: 0}
models: [{id: sudoku, checkpoint: "embedded:tiny-sudoku", pools: [{cpus: 0.2, threads: 1}]}]
"""


def served_models(base_url: str, api_key: str) -> list[dict[str, Any]]:
    place = urlsplit(base_url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.request("GET", f"{place.path}/models", headers={"Authorization": f"Bearer {api_key}"})
    models: list[dict[str, Any]] = json.load(connection.getresponse())["data"]
    connection.close()
    return models


def test_a_cluster_comes_up_in_the_background_serves_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(CONFIGURATION)
    up = dllm(tmp_path, "up", "--config", str(file), "--detach", "--json")
    try:
        assert up.returncode == 0, up.stderr
        connection = json.loads(up.stdout)
        assert connection.keys() == {"base_url", "api_key"}
        assert [model["id"] for model in served_models(**connection)] == ["sudoku"]
        assert json.loads(dllm(tmp_path, "status", "--json").stdout)["models"] == {"sudoku": True}
        folders = set(re.findall(r"/tmp/dllm-ray-\w+", " ".join(commands_of(tmp_path))))
        assert len(folders) == 1
    finally:
        down = dllm(tmp_path, "down")
    assert (down.returncode, down.stdout) == (0, "The cluster has stopped.\n")
    assert commands_of(tmp_path) == []
    assert not any(Path(folder).exists() for folder in folders)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} - {"cluster.yaml"}
    assert left == {f"dllm-{os.getuid()}/{name}" for name in ("lock", "cluster.log", "access.log")}


@pytest.mark.full
def test_the_quick_start_runs_as_it_stands(tmp_path: Path) -> None:
    """But for its ports, which others may have, and for `make setup`, which has been done."""
    http, admin, grpc = free_port(), free_port(), free_port()
    ports = f", port: {admin}}}\\nhttp: {{port: {http}}}\\ngrpc: {{port: {grpc}}}\\n"
    program = page("docs/quick-start.md").session.replace("8001", str(admin)).replace('"%s"}\\n', f'"%s"{ports}')
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    home = {"PATH": path, "XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    command = ["bash", "-c", QUICK_START + program]
    try:
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | home, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "200\n200\n429\n" in done.stdout
        assert done.stdout.endswith("The cluster has stopped.\n")
        assert commands_of(tmp_path) == []
    finally:
        dllm(tmp_path, "down")
