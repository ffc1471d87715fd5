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

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found by their environment in /proc")

CONFIGURATION = """
http: {port: 0}
models: [{id: sudoku, checkpoint: "embedded:tiny-sudoku", pool: {cpus: 0.2, threads: 1}}]
"""


def dllm(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(home), "TMPDIR": str(home), "HOME": str(home)}
    command = [sys.executable, "-m", "cluster", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def commands_of(home: Path) -> list[str]:
    """The command line of every process that was started by ``dllm`` of that home."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if f"\0XDG_RUNTIME_DIR={home}\0".encode() in b"\0" + (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


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
    assert left == {f"dllm-{os.getuid()}/{name}" for name in ("lock", "cluster.log")}
