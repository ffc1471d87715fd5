"""The flood of malformed requests, at a fiftieth of its size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.malformed.flood import LARGEST

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
MINUTES = 15


def test_malformed_requests_harm_nobody() -> None:
    options = ["--requests", "2000", "--well-formed", "500", "--alone", "10", "--growth", "1.4"]
    command = [sys.executable, "-m", "loadtest.malformed", *options]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=60 * MINUTES, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert sum(sum(answers.values()) for answers in report["answers"].values()) == 2500 + 2 * LARGEST
    kinds = {"http: well-formed", "grpc: well-formed", "http: mutated body", "http: wire", "grpc: bytes"}
    assert kinds | {"grpc: odd fields"} <= set(report["answers"])
    assert set(report["told"]["beside malformed"]) == {"as expected"}
