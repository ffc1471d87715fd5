from __future__ import annotations

from itertools import islice
from random import Random

import pytest

from dllm_worker.embedded.sudoku.puzzles import dug_puzzle, is_solved, puzzles_with, solution_count, solved_grid
from dllm_worker.embedded.sudoku.solver import CELLS


@pytest.mark.parametrize("seed", range(20))
def test_a_solved_grid_holds_each_digit_once_in_every_unit(seed: int) -> None:
    assert is_solved(solved_grid(Random(seed)))


def test_a_grid_with_two_cells_exchanged_is_not_solved() -> None:
    first, second, *rest = solved_grid(Random(0))
    assert not is_solved((second, first, *rest))


@pytest.mark.parametrize("seed", range(10))
def test_a_puzzle_has_one_solution_and_no_given_to_spare(seed: int) -> None:
    puzzle = dug_puzzle(seed)
    assert solution_count(puzzle.givens) == 1
    assert all(given in (0, digit) for given, digit in zip(puzzle.givens, puzzle.solution, strict=True))
    for cell in range(CELLS):
        if puzzle.givens[cell]:
            fewer = (*puzzle.givens[:cell], 0, *puzzle.givens[cell + 1 :])
            assert solution_count(fewer) == 2


def test_the_same_seed_digs_the_same_puzzle() -> None:
    assert dug_puzzle(7) == dug_puzzle(7)
    assert dug_puzzle(7) != dug_puzzle(8)


@pytest.mark.parametrize("givens", [45, 30, 24])
def test_puzzles_can_be_had_with_an_exact_number_of_givens(givens: int) -> None:
    found = list(islice(puzzles_with(givens, first_seed=100), 5))
    assert [puzzle.given_count for puzzle in found] == [givens] * 5
    assert len(set(found)) == 5
