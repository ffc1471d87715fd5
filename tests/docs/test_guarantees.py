"""Each guarantee has its condition, and a test that exists and is run."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, codes_in, page, rows

PAGE = page("docs/guarantees.md")
GUARANTEES = [row for heading in ("Text", "Failures", "Tenants") for row in rows(PAGE.section(heading))]


@cache
def found_in(file: Path) -> dict[str, set[str]]:
    """The tests of a file, each with the marks that stand on it or on the whole file."""
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found[node.name] = {word for decorator in node.decorator_list for word in ast.unparse(decorator).split(".")}
    return found


@pytest.mark.parametrize("row", GUARANTEES, ids=lambda row: row[0])
def test_a_guarantee_has_its_condition_and_tests_that_are_run(row: list[str]) -> None:
    guarantee, condition, _, shown = row
    assert guarantee
    assert condition
    named = codes_in(shown)
    assert named
    for name in named:
        file, _, function = name.partition("::")
        marks = found_in(ROOT / file)[function]
        assert not marks & {"skip", "xfail"}, name


def test_there_are_guarantees_of_each_kind() -> None:
    assert len(GUARANTEES) >= 20
    assert any("tests/chaos/" in row[3] for row in GUARANTEES)
