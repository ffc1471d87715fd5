from __future__ import annotations

from itertools import islice

from dllm_worker.bench.savings import GIVENS, PUZZLE_SEED, SUDOKU, caches, early_exit
from dllm_worker.embedded.sudoku.puzzles import puzzles_with
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model


def test_an_early_exit_saves_steps_and_solves_as_much() -> None:
    rows = early_exit(load_model(resolve_checkpoint(SUDOKU)), list(islice(puzzles_with(GIVENS, PUZZLE_SEED), 2)))
    assert rows[0].steps == 81 - GIVENS
    assert rows[0].of_first == 1.0
    assert all(row.quality == 1.0 for row in rows)
    assert all(row.position_forwards < rows[0].position_forwards / 2 for row in rows[1:])


def test_a_cache_saves_positions(sequence_model: LoadedModel) -> None:
    rows = {row.way: row for row in caches(sequence_model, [(5, 6, 7)])}
    assert rows["no cache"].quality == rows["no cache"].of_first == 1.0
    assert rows["dual"].position_forwards < rows["prefix"].position_forwards < rows["no cache"].position_forwards
