"""``docs/tracing.md`` names what the cluster emits, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from deployments.telemetry import attributes
from deployments.telemetry.config import TracesConfig

PAGE = (Path(__file__).parents[3] / "docs" / "tracing.md").read_text()
NAMES = {value for name, value in vars(attributes).items() if name.isupper()}
DOTTED = re.compile(r"`((?:dllm|gen_ai|http|rpc|db|error)(?:\.[a-z0-9_]+)+)`")


def table() -> list[str]:
    """The first cells of the table of attributes."""
    return [line.split("|")[1] for line in PAGE.partition("## Attributes")[2].splitlines() if line.startswith("| `")]


def test_every_attribute_has_its_place_in_the_table_once() -> None:
    documented = [name for cell in table() for name in DOTTED.findall(cell)]
    spans = {name for name in NAMES if not DOTTED.fullmatch(f"`{name}`")}
    assert sorted(documented) == sorted(NAMES - spans)
    assert len(documented) > 50


def test_every_span_stands_in_the_tree_or_beside_a_canvas() -> None:
    tree = PAGE.partition("## The tree")[2].partition("**Killed")[0]
    spans = {name for name in NAMES if not DOTTED.fullmatch(f"`{name}`")} - {attributes.PROVIDER_NAME}
    assert {name for name in spans if not re.search(rf"\b{re.escape(name)}\b", tree)} == set()


def test_the_settings_are_all_told() -> None:
    settings = PAGE.partition("## Configuration")[2].partition("## Privacy")[0]
    assert {name for name in TracesConfig.model_fields if f"{name}:" not in settings} == set()
