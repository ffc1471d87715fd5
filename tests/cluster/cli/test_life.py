"""A real cluster from `dllm up` to `dllm down`, as a shell sees it."""

from __future__ import annotations

import json
import os
import re
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cluster.shell import commands_of, dllm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found by their environment in /proc")

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
