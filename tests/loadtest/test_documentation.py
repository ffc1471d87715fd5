from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import yaml

from loadtest.arrivals.shapes import SHAPES
from loadtest.running.events import figures
from loadtest.scenario.scenario import Gate, Kind
from tests.loadtest.cases import sample

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "load-testing.md").read_text(encoding="utf-8")


def first_cells(title: str) -> list[str]:
    """The names in the first column of the table below ``title``."""
    section = PAGE.partition(f"# {title}\n")[2].partition("\n#")[0]
    return re.findall(r"^\| `([a-z_-]+)` \|", section, re.MULTILINE)


def test_the_page_has_every_scenario_and_every_kind() -> None:
    assert sorted(first_cells("Scenarios")) == sorted(path.stem for path in ROOT.glob("loadtest/scenarios/*.yaml"))
    assert first_cells("Kinds of requests") == list(get_args(Kind))


def test_the_page_names_every_shape_and_every_event() -> None:
    events = {name for name, _ in figures(sample(queue_seconds=0.1))}
    assert {f"`{name}`" for name in (*SHAPES, *events)} <= set(re.findall(r"`[A-Za-z0-9]+`", PAGE))


def test_the_gates_of_the_page_are_gates() -> None:
    [block] = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert len([Gate.model_validate(each) for each in block["gates"]]) == 3
