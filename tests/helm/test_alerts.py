from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cluster.cli.main import app
from deployments.gateway.ending import End, line_of
from deployments.telemetry.observation import Observation
from tests.helm import documents, promql
from tests.helm.documents import RUNBOOKS, Rule, labels_of

ALERTS = documents.alerts()
SEVERITIES = {"critical", "warning"}
SECTIONS = ["What it means", "How to see it", "What to do"]
FIELD = re.compile(r"(?<![\w\"])\.(\w+)")
JQ = re.compile(r"`jq '([^']*)'")
COMMAND = re.compile(r"`(dllm [^`]*)`")
LINK = re.compile(r"\]\(([^)#]+)(?:#([\w-]+))?\)")


@cache
def tree() -> Any:
    """The command line."""
    return get_command(app)


def lacks(spoken: str) -> str:
    """The first word or option of a command that the command line does not know."""
    command = tree()
    for word in spoken.split()[1:]:
        if word.startswith("--") and word not in {option for each in command.params for option in each.opts}:
            return word
        if hasattr(command, "commands") and not word.startswith("-"):
            if word not in command.commands:
                return word
            command = command.commands[word]
    return spoken if hasattr(command, "commands") else ""


def test_the_tree_of_commands_is_really_asked() -> None:
    assert lacks("dllm queue --json") == ""
    assert lacks("dllm queue --loud") == "--loud"
    assert lacks("dllm keys forge") == "forge"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_how_bad_it_is_and_where_its_runbook_is(alert: Rule) -> None:
    assert alert.labels["severity"] in SEVERITIES
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    assert alert.annotations["runbook_url"] == f"docs/runbooks/{alert.name}.md"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_tells_of_labels_that_it_has(alert: Rule) -> None:
    kept = {label for each in promql.aggregations(alert.expression) for label in each.labels}
    kept |= {
        label for each in promql.selectors(alert.expression) if ":" in each.metric for label in labels_of(each.metric)
    }
    told = re.findall(r"\$labels\.(\w+)", " ".join(alert.annotations.values()))
    assert set(told) <= kept


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert sorted(alert.name for alert in ALERTS) == [path.stem for path in RUNBOOKS]


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_says_what_to_do_with_commands_that_exist(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# {path.stem}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert {spoken: lacks(spoken) for spoken in COMMAND.findall(text) if lacks(spoken)} == {}


def test_runbooks_look_for_what_a_line_of_the_access_log_has() -> None:
    line = line_of(Observation(), End("POST /v1/completions", "200", 0.0))
    programs = [program for path in RUNBOOKS for program in JQ.findall(path.read_text())]
    assert programs
    assert {field for program in programs for field in FIELD.findall(program)} <= line.keys()


@pytest.mark.parametrize("path", [*RUNBOOKS, documents.TABLE], ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for target, anchor in LINK.findall(path.read_text()):
        there = path.parent / target
        assert there.exists(), target
        if anchor:
            headings = [
                heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", there.read_text(), re.M)
            ]
            assert anchor in headings
