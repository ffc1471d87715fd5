"""The examples of the documentation, against the real cluster."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.deployments.gateway.cases import INTERNAL
from tests.deployments.gateway.test_error_table import ATTEMPTS
from tests.deployments.test_errors import every_error
from tests.end_to_end.conftest import Cluster

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(cluster: Cluster, example: str) -> str:
    environment = {**os.environ, "OPENAI_BASE_URL": f"{cluster.base_url}/v1", "OPENAI_API_KEY": cluster.key}
    command = ["bash", "-euo", "pipefail", "-c", example]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(cluster: Cluster, example: str) -> None:
    told = run(cluster, example)
    assert told
    if '"stream": true' in example:
        assert told.endswith("data: [DONE]\n\n")
        assert '"error"' not in told


def test_there_are_examples_of_streams_and_of_answers() -> None:
    assert sum("curl -fsSN" in example for example in EXAMPLES) >= 3
    assert len(EXAMPLES) >= 8


def test_the_page_has_every_error_that_a_tenant_meets() -> None:
    rows = re.findall(r"^\| (\d{3}[\d, ]*) \| (.*?) \| .* \| (\d) \|$", PAGE, re.MULTILINE)
    listed = {code: int(asked) for _, codes, asked in rows for code in re.findall(r"`(\w+)`", codes)}
    met = [kind for kind in every_error() if kind not in INTERNAL]
    assert listed == {kind.code: ATTEMPTS.get(kind, 1) for kind in met}
    statuses = {code: status for status, codes, _ in rows for code in re.findall(r"`(\w+)`", codes)}
    assert all(str(kind.status) in statuses[kind.code] for kind in met)
