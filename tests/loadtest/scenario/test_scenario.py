from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deployments.document import ConfigError
from loadtest.scenario.scenario import load_scenario
from tests.loadtest.cases import scenario

FOLDER = Path(__file__).parents[3] / "loadtest" / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_scenario_is_one_and_can_fail(path: Path) -> None:
    scenario = load_scenario(path)
    assert scenario.name == path.stem
    assert scenario.gates


def test_a_run_lasts_as_long_as_its_name_says() -> None:
    assert load_scenario(FOLDER / "two-minutes.yaml").load_seconds == 120


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tenants": [{"name": "acme"}, {"name": "acme"}]}, "acme is given more than once"),
        ({"gates": [{"figure": "failed"}]}, "least or most"),
        ({"gates": [{"figure": "failed", "most": 0, "tenant": "umbrella"}]}, "no tenant is called umbrella"),
        ({"gates": [{"figure": "failed", "most": 0, "tenant": "acme", "kind": "unary"}]}, "a tenant, a band or a kind"),
        ({"gates": [{"figure": "speed", "most": 0}]}, "figure"),
        ({"tenants": [{"name": "acme", "kinds": {"unary": 0}}]}, "share above 0"),
        ({"prompt": {"median": 9, "most": 8}}, "median is 9"),
        ({"trace": {"file": "a.csv", "format": "azure"}, "tenants": [{"name": "a", "shape": "ramp"}]}, "no tenant has"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        scenario(**changes)


def test_an_unknown_key_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: a\ntenants: [{name: acme, burst: 3}]\n")
    with pytest.raises(ConfigError, match=r"tenants\.0\.burst: unknown key"):
        load_scenario(path)
