"""``dllm generate`` and ``dllm infill`` with the shipped models, in this process."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from cluster.cli.main import app
from dllm_worker.embedded.sudoku.puzzles import is_solved

BOARD = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
SUDOKU = ("infill", BOARD, "--model", "embedded:tiny-sudoku", "--hole", ".", "--hole-tokens", "1")


def dllm(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_an_answer_is_printed_and_its_work_is_told_apart() -> None:
    result = dllm("generate", "import os\n", "--max-tokens", "12", "--seed", "1")
    assert result.exit_code == 0
    assert "position-forwards" in result.stderr
    assert "position-forwards" not in result.stdout
    assert dllm("generate", "import os\n", "--max-tokens", "12", "--seed", "1").stdout == result.stdout


def test_a_sudoku_is_solved() -> None:
    result = dllm(*SUDOKU)
    solution = result.stdout.strip()
    assert all(given in (".", filled) for given, filled in zip(BOARD, solution, strict=True))
    assert is_solved(int(digit) for digit in solution)


def test_watching_ends_with_the_same_answer() -> None:
    watched = dllm(*SUDOKU, "--watch").stdout
    assert watched.count("-- canvas 0, step") > 0
    assert watched.strip().endswith(dllm(*SUDOKU).stdout.strip())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("infill", "import os"), "does not occur in the template"),
        (("generate", "x", "--model", "embedded:nothing"), "embedded:nothing"),
        (("generate", "x", "--algorithm", "wino"), "algorithm"),
        (("generate", "x", "--max-tokens", "100000"), "512"),
    ],
)
def test_what_is_refused_is_named(arguments: tuple[str, ...], message: str) -> None:
    result = dllm(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
