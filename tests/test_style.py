"""Bounds that keep every file readable."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    path for folder in ("cluster", "deployments", "dllm_worker", "tests") for path in (ROOT / folder).rglob("*.py")
]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
VAGUE_NAME = re.compile(r"(Manager|Helpers?|Utils?)$")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME)\b")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(path: Path) -> Iterator[Definition]:
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Definition))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_and_finished_and_its_names_say_something(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES
    assert not UNFINISHED.search(text)
    found = list(definitions(path))
    lengths = {
        node.name: (node.end_lineno or 0) - node.lineno + 1 for node in found if not isinstance(node, ast.ClassDef)
    }
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}
    names = [path.stem.title(), *(node.name for node in found if isinstance(node, ast.ClassDef))]
    assert [name for name in names if VAGUE_NAME.search(name)] == []
