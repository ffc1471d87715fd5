"""A server for each test, and kubectl."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.kubernetes.api_server import ApiServer, api_server

ROOT = Path(__file__).parents[4]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server(clock=lambda: NOON) as running:
        yield running


@pytest.fixture
def kubectl(server: ApiServer, tmp_path: Path) -> Kubectl:
    """The real program, with a document for its standard input where it reads one."""
    fetched = ROOT / ".cache" / "kubectl"
    program = str(fetched) if fetched.exists() else shutil.which("kubectl")
    if program is None:
        pytest.skip("there is no kubectl: make helm fetches it")
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")

    def run(*arguments: str, document: Any = None) -> subprocess.CompletedProcess[str]:
        command = [program, "--kubeconfig", str(kubeconfig), "--cache-dir", str(tmp_path / "cache"), *arguments]
        text = None if document is None else json.dumps(document)
        environment = {**os.environ, "HOME": str(tmp_path)}
        return subprocess.run(command, input=text, env=environment, capture_output=True, text=True, check=False)

    return run
