"""What the guide says is so."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cluster.autoscaling.shapes import SHAPES
from deployments.autoscaling.config import ScalingConfig
from deployments.autoscaling.decide import decide
from deployments.autoscaling.policies.named import SHIPPED
from deployments.autoscaling.sample import History
from tests.deployments.autoscaling.scenarios import sample, spec

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = (DOCS / "autoscaling.md").read_text(encoding="utf-8")


def cells(heading: str) -> list[str]:
    """The first cells of the rows of the table below a heading."""
    section = GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)


def test_the_policies_and_signals_are_those_that_there_are() -> None:
    assert cells("Policies") == list(SHIPPED)
    known = sample(0.0, 4, load=0.9, burn=3.0, running=64, waiting=9, backlog=9e5)
    reasons = [reason for policy in SHIPPED.values() for reason in policy([known], spec(), 0.0)]
    assert {reason.signal for reason in reasons} == set(cells("Signals"))


def test_the_example_of_an_own_policy_works(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
    module = ModuleType("operators_own")
    exec(compile(code, "autoscaling.md", "exec"), module.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, "operators_own", module)
    pool = spec(scaling=ScalingConfig(policy="operators_own:twice_the_places"))
    verdict = decide(History({"a": [sample(0.0, 2, running=20)]}), [pool], 0.0, 15.0).verdicts["a"]
    assert verdict.explain() == "2 -> 3: 20 run, and half of the places are to be free"


def test_the_shapes_and_the_chart_are_there() -> None:
    named = re.search(r"\*\*synthetic\*\* one \(([^)]*)\)", GUIDE.replace("\n", " "))
    assert named is not None
    assert re.findall(r"`(\w+)`", named[1]) == list(SHAPES)
    assert all((DOCS / image).is_file() for image in re.findall(r"!\[[^]]*\]\(([^)]*)\)", GUIDE))
