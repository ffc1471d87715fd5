"""The shipped checkpoint: it loads as any other does, and solves what it was measured to solve."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dllm_worker.embedded.sudoku.checkpoint import CHECKPOINT, export
from dllm_worker.embedded.sudoku.evaluate import EVALUATION_SEED, score, solve
from dllm_worker.embedded.sudoku.network import untrained
from dllm_worker.embedded.sudoku.puzzles import Puzzle, is_solved, puzzles_with
from dllm_worker.embedded.sudoku.solver import CELLS, candidates_of, solutions
from dllm_worker.embedded.sudoku.train import TRAINING_SEEDS
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import SamplingParameters
from dllm_worker.text import Text

SHIPPED_FILES = {
    "README.md",
    "config.json",
    "evaluation.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}
LARGEST_BYTES = 4 << 20


def unseen_puzzles(givens: int) -> list[Puzzle]:
    texts = json.loads((Path(__file__).parent / "unseen_puzzles.json").read_text())[str(givens)]
    grids = [tuple(int(character) for character in text.replace(".", "0")) for text in texts]
    return [Puzzle(grid, next(solutions(candidates_of(grid)))) for grid in grids]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(CHECKPOINT)


def test_the_folder_holds_all_it_should_and_is_small() -> None:
    assert {path.name for path in CHECKPOINT.iterdir()} == SHIPPED_FILES
    assert sum(path.stat().st_size for path in CHECKPOINT.iterdir()) < LARGEST_BYTES


def test_the_canvas_is_the_board(model: LoadedModel) -> None:
    assert model.spec.canvas_length == model.spec.max_canvas_length == CELLS
    assert model.spec.context_attention == "bidirectional"
    assert Text.load(CHECKPOINT).decode(range(9)) == "123456789"


def test_an_export_can_be_loaded(tmp_path: Path) -> None:
    export(untrained(0), tmp_path)
    assert load_model(tmp_path).description.defaults == load_model(CHECKPOINT).description.defaults


def test_the_puzzles_come_from_seeds_that_training_does_not_use() -> None:
    assert TRAINING_SEEDS.stop <= EVALUATION_SEED
    assert unseen_puzzles(26)[0] == next(puzzles_with(26, EVALUATION_SEED))


@pytest.mark.parametrize(("givens", "least"), [(36, 0.97), (30, 0.95), (26, 0.85)])
def test_the_defaults_solve_unseen_puzzles_in_few_steps(model: LoadedModel, givens: int, least: float) -> None:
    result = score(model, unseen_puzzles(givens), model.description.defaults)
    assert result.solved >= least
    assert result.most_steps <= 12


def test_confidence_is_worth_more_than_chance(model: LoadedModel) -> None:
    puzzles = unseen_puzzles(26)[:20]
    by_algorithm = {
        algorithm: score(model, puzzles, SamplingParameters(algorithm=algorithm, max_steps=8)).solved
        for algorithm in ("random", "low_confidence")
    }
    assert by_algorithm["low_confidence"] > by_algorithm["random"] + 0.1


def test_an_empty_board_becomes_some_solved_grid(model: LoadedModel) -> None:
    empty = Puzzle((0,) * CELLS, (0,) * CELLS)
    sampling = replace(model.description.defaults, algorithm="low_confidence", max_steps=None, temperature=1.0)
    grids = {answer.grid for answer in solve(model, [empty] * 4, sampling)}
    assert len(grids) == 4
    assert sum(map(is_solved, grids)) >= 2
