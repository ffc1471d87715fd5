"""``dllm autoscale replay``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cluster.cli.main import app

STEP = ("--synthetic", "step", "--seconds", "300", "--peak", "3", "--most", "6")


def replay(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["autoscale", "replay", *arguments], env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("replay") / "trace.jsonl"
    assert replay(*STEP, "--output", str(file), "--json").exit_code == 0
    return file


def test_two_policies_are_shown_side_by_side() -> None:
    shown = replay(*STEP, "--against", "serve", "--ongoing", "12")
    assert shown.exit_code == 0, shown.output
    told = ("replicas wanted", "tensor load", "predicted wait, s", "replica seconds", "requests, 12 for each replica")
    assert [text for text in (*told, "tensor_core", "> 0.75 for") if text not in shown.output] == []
    assert "\x1b" not in shown.output, "there are no colours where nobody sees them"


def test_a_trace_that_was_written_is_replayed_to_the_same_decisions(trace: Path) -> None:
    made, again = json.loads(replay(*STEP, "--json").output), json.loads(replay(str(trace), "--json").output)
    assert again[0]["decisions"] == made[0]["decisions"] != []
    assert again[0]["replica_seconds"] == made[0]["replica_seconds"]


def test_settings_and_policies_change_what_comes_of_it(trace: Path) -> None:
    policies = ("--policy", "tensor_core", "--against", "schedule", "--set", "load=0.3", "--json")
    ours, schedule = json.loads(replay(str(trace), *policies).output)
    plain = json.loads(replay(str(trace), "--json").output)[0]
    assert ours["replica_seconds"] > plain["replica_seconds"]
    assert schedule["policy"] == "schedule"


def test_the_chart_is_a_png(trace: Path, tmp_path: Path) -> None:
    file = tmp_path / "chart.png"
    assert replay(str(trace), "--png", str(file), "--json").exit_code == 0
    assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((), "give a trace, or a shape with --synthetic"),
        (("--synthetic", "wave"), "wave is no shape"),
        (("--synthetic", "step", "--least", "13"), "--least is above --most"),
        (("--synthetic", "step", "--policy", "mine"), "policy mine is none of"),
        (("--synthetic", "step", "--set", "load=7"), "load: Input should be less than or equal to 1"),
        (("missing.jsonl",), "No such file"),
    ],
)
def test_what_cannot_be_replayed_is_said(arguments: tuple[str, ...], fault: str) -> None:
    refused = replay(*arguments)
    assert refused.exit_code == 1
    assert fault in refused.stderr


@pytest.mark.parametrize(("text", "fault"), [("", "there are no samples"), ("{", "line 1: Invalid JSON")])
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_text(text)
    refused = replay(str(file))
    assert (refused.exit_code, fault in refused.stderr) == (1, True)
