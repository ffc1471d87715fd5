from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.cases import CASES, Case
from tests.helm.documents import ALERTS, ROOT, alerts

PROMTOOL = ROOT / ".cache" / "promtool"
RULES = {alert.name: alert for alert in alerts()}
LABEL = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
VALUE = re.compile(r"\{\{ \$value[^}]*\}\}")
needs_promtool = pytest.mark.skipif(not PROMTOOL.exists(), reason="make prometheus fetches promtool")


def promtool(*arguments: str | Path, read: str = "") -> str:
    """What promtool says, and that it is content."""
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, input=read)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def told(alert: str, labels: Mapping[str, str], value: str) -> dict[str, str]:
    """The annotations of an alert that fires."""
    written = RULES[alert].annotations
    return {
        name: VALUE.sub(value, LABEL.sub(lambda match: labels[match[1]], text)).strip()
        for name, text in written.items()
    }


def unit_test(case: Case) -> dict[str, Any]:
    """A case as promtool reads it."""
    fires = [
        {
            "exp_labels": case.labels | RULES[case.alert].labels,
            "exp_annotations": told(case.alert, case.labels, case.value),
        }
        for _ in [case.labels]
        if case.labels is not None
    ]
    return {
        "interval": case.interval,
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [{"eval_time": case.at, "alertname": case.alert, "exp_alerts": fires}],
    }


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    found = {(case.alert, case.labels is not None) for case in CASES}
    assert found == {(name, fires) for name in RULES for fires in (True, False)}


@pytest.mark.full
@needs_promtool
def test_prometheus_takes_the_rules() -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", *ALERTS)
    assert said.count("SUCCESS") == len(ALERTS)


@pytest.mark.full
@needs_promtool
@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.alert}-{'fires' if case.labels is not None else 'rests'}"
)
def test_an_alert_fires_when_it_should_and_only_then(tmp_path: Path, case: Case) -> None:
    program = {
        "rule_files": [str(path) for path in ALERTS],
        "evaluation_interval": case.interval,
        "tests": [unit_test(case)],
    }
    file = tmp_path / "rules_test.yaml"
    file.write_text(yaml.safe_dump(program))
    promtool("test", "rules", file)
