"""Each block of commands is run by a test, or says in its first line why it is not."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, pages, programs

RUN_BY = {
    "README.md": "tests/end_to_end/test_examples.py",
    "docs/quick-start.md": "tests/end_to_end/test_examples.py",
    "docs/decoding.md": "tests/end_to_end/test_examples.py",
    "docs/api.md": "tests/end_to_end/test_documentation.py",
    "docs/operations.md": "tests/cluster/cli/test_operations.py",
    "docs/autoscaling.md": "tests/cluster/cli/test_operations.py",
}
"""The test that runs the blocks of a page."""

BLOCKS = programs()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block} {block.excuse or 'is run'}")
def test_a_block_is_run_or_says_why_not_and_can_be_read(block: Block) -> None:
    assert block.excuse or block.page in RUN_BY, "a page whose blocks no test runs"
    if block.language == "python":
        ast.parse(block.text)
    else:
        read = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)  # noqa: S607
        assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize(("page", "test"), RUN_BY.items())
def test_the_test_that_runs_a_page_names_it(page: str, test: str) -> None:
    assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")


def test_the_commands_of_a_page_are_in_blocks_that_say_their_language() -> None:
    read = [page for page in pages() if page.name.startswith(("README", "docs/", "helm/"))]
    bare = [block for page in read for block in page.blocks if not block.language]
    assert [str(block) for block in bare if _is_a_command(block.text)] == []


def _is_a_command(text: str) -> bool:
    words = {line.split(" ")[0] for line in text.splitlines()}
    return bool(words & {"curl", "dllm", "make", "export", "helm", "kubectl", "python", "docker"})


def test_most_blocks_are_run() -> None:
    assert sum(block.excuse is None for block in BLOCKS) >= 30
