from __future__ import annotations

from itertools import islice
from random import Random

from dllm_worker.embedded.sudoku.solver import CELLS, UNITS, candidates_of, deduction_rounds, solutions

PUZZLE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
SOLUTION = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"
HARD = "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4.."


def grid(text: str) -> tuple[int, ...]:
    return tuple(int(character.replace(".", "0")) for character in text)


def test_each_cell_is_in_three_units_of_nine_cells() -> None:
    assert all(unit.bit_count() == 9 for unit in UNITS)
    assert all(sum(unit >> cell & 1 for unit in UNITS) == 3 for cell in range(CELLS))


def test_a_known_puzzle_has_its_known_solution_and_no_other() -> None:
    assert list(solutions(candidates_of(grid(PUZZLE)))) == [grid(SOLUTION)]


def test_a_puzzle_that_singles_do_not_open_is_searched() -> None:
    assert len(list(solutions(candidates_of(grid(HARD))))) == 1


def test_two_equal_digits_in_a_row_have_no_solution() -> None:
    assert list(solutions(candidates_of((5, 5, *[0] * 79)))) == []


def test_a_random_order_reaches_other_solutions_of_an_empty_grid() -> None:
    empty = [0] * CELLS
    assert next(solutions(candidates_of(empty), Random(1))) != next(solutions(candidates_of(empty), Random(2)))
    assert len(set(islice(solutions(candidates_of(empty)), 20))) == 20


def test_rounds_count_how_deep_a_deduction_is() -> None:
    missing_two = (0, 0, *grid(SOLUTION)[2:])
    assert deduction_rounds(missing_two) == (1, 1, *[0] * 79)
    rounds = deduction_rounds(grid(PUZZLE))
    assert [number == 0 for number in rounds] == [digit > 0 for digit in grid(PUZZLE)]
    assert set(range(1, max(rounds))) <= set(rounds)


def test_what_singles_do_not_settle_comes_last() -> None:
    rounds = deduction_rounds(grid(HARD))
    assert rounds.count(max(rounds)) > CELLS // 2
