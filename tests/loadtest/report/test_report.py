from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from loadtest.figures.results import results
from loadtest.gates.verdict import verdicts
from loadtest.report.charts import charts
from loadtest.report.environment import Environment
from loadtest.report.html import html
from loadtest.report.markdown import markdown
from loadtest.report.report import Report
from loadtest.report.writing import write
from loadtest.running.disturbances import Disturbed
from tests.loadtest.cases import sample, scenario

ENVIRONMENT = Environment(
    "2026-11-22T00:00:00+00:00", "abc", "Linux", 2, 24.0, "3.11", "2.47", 1, 12.5, "http://x/v1", {"version": "0"}
)


def report(outcome: str = "ok") -> Report:
    asked = scenario(gates=[{"figure": "failed", "most": 0}])
    samples = [sample(due=5.0), sample(number=1, kind="unary", first_commit=None, gaps=(), outcome=outcome)]
    samples.append(sample(number=2, outcome="queue_full", detail="full | of <b>requests</b>\nby now"))
    found = results(asked, samples, [0.0] * 3, None)
    disturbed = [Disturbed(30.0, ["dllm", "k8s", "drain"], 0, "")]
    return Report(asked, ENVIRONMENT, "digest", found, verdicts(asked.gates, found, 0), disturbed, samples)


def test_the_files_of_a_report(tmp_path: Path) -> None:
    write(report(), tmp_path / "new")
    names = {"report.json", "report.md", "report.html", "samples.jsonl"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == names
    told = json.loads((tmp_path / "new" / "report.json").read_text())
    assert told["passed"] is True
    assert told["results"]["whole"]["requests"] == 2
    assert told["results"]["whole"]["p99_queue_seconds"] is None
    assert told["scenario"]["tenants"][0]["name"] == "acme"
    lines = (tmp_path / "new" / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [0, 1, 2]


def test_markdown_has_a_row_for_each_part_and_cells_stay_in_their_places() -> None:
    text = markdown(report())
    assert text.startswith("# Load test test: passed\n")
    assert "| failed | at most 0 | 0 | passed |" in text
    assert "| queue_full | 1 | full \\| of <b>requests</b> by now |" in text
    assert "| 30.0 s | dllm k8s drain | 0 |" in text
    assert markdown(report("mismatch")).startswith("# Load test test: failed\n")


def test_html_needs_nothing_else_and_shows_what_was_said_as_text() -> None:
    text = html(report())
    assert "&lt;b&gt;requests" in text
    assert "<b>" not in text
    assert text.count("<svg") == 3
    assert not any(word in text for word in ("<script", "<link", "<img", "src="))


def test_charts_are_svg_and_the_same_for_the_same_report() -> None:
    drawn = list(charts(report()))
    assert drawn == list(charts(report()))
    for _, svg in drawn:
        ElementTree.fromstring(svg)  # noqa: S314 - written by ourselves
