"""Why pools have the sizes that they have, for a person and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cluster.cli.main import app
from deployments.autoscaling.journal import Journal
from deployments.autoscaling.trace import read_trace
from tests.cluster.cli.bridge import Bridge
from tests.deployments.autoscaling.seen import told
from tests.deployments.gateway.admin.administration import ADMIN_KEY, NOW, Place

VARIABLES = {"DLLM_ADMIN_URL": "http://admin", "DLLM_ADMIN_KEY": ADMIN_KEY}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return Place()


def written(place: Place) -> Place:
    journal = Journal(place.segments, 3600.0)
    for number in range(3):
        journal.write(told(NOW - 6 + 2 * number, 1, 1 + number % 2, load=0.91, waiting=None))
    return place


def run(place: Place, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["autoscale", *arguments], obj=Bridge(admin=place.app), env=VARIABLES)


def test_a_person_reads_why(place: Place) -> None:
    result = run(written(place), "explain")
    assert result.exit_code == 0, result.output
    head, row, *told = result.stdout.splitlines()
    figures = ["replicas", "target", "least", "most", "reporting", "running", "waiting", "load", "wait,", "s", "burn"]
    assert head.split() == ["pool", "policy", *figures]
    assert row.split() == ["tiny/default", "tensor_core", "1", "1", "1", "5", "0", "0", "-", "0.91", "-", "-"]
    last, change = (line.strip() for line in told if "->" in line)
    assert last == f"1 -> 1: tensor 0.91 > 0.75 at {NOW - 2:.0f}"
    assert change == f"1 -> 2: tensor 0.91 > 0.75 at {NOW - 4:.0f}"


def test_one_pool_is_asked_for(place: Place) -> None:
    (pool,) = json.loads(run(written(place), "explain", "--pool", "tiny/default", "--json").stdout)
    assert (pool["name"], pool["last"]["bound"], len(pool["changes"])) == ("tiny/default", "none", 1)
    refused = run(place, "explain", "--pool", "tiny/other")
    assert (refused.exit_code, refused.stderr) == (1, "dllm: no pool tiny/other is scaled\n")


def test_nothing_is_scaled(place: Place) -> None:
    result = run(place, "explain")
    assert (result.exit_code, result.stderr) == (1, "dllm: no pool is scaled\n")


def test_the_trace_is_written_as_it_is_kept(place: Place) -> None:
    trace = read_trace(run(written(place), "trace").stdout.splitlines())
    assert [each.at for each in trace.decisions] == [NOW - 6, NOW - 4, NOW - 2]
