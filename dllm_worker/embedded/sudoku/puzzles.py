"""Solved grids and puzzles with exactly one solution, deterministic by seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from random import Random

from dllm_worker.embedded.sudoku.solver import CELLS, UNITS, Grid, candidates_of, solutions


@dataclass(frozen=True, slots=True)
class Puzzle:
    """``solution`` is the only completion of ``givens``, in which 0 marks a hole."""

    givens: Grid
    solution: Grid

    @property
    def given_count(self) -> int:
        """How many cells are given."""
        return CELLS - self.givens.count(0)


def is_solved(grid: Iterable[int]) -> bool:
    """Whether every row, column and box holds each digit once."""
    cells = tuple(grid)
    return all({cells[cell] for cell in range(CELLS) if unit >> cell & 1} == set(range(1, 10)) for unit in UNITS)


def solution_count(grid: Grid, limit: int = 2) -> int:
    """The number of completions of ``grid``, counted up to ``limit``."""
    return sum(1 for _ in islice(solutions(candidates_of(grid)), limit))


def solved_grid(random: Random) -> Grid:
    """A random full grid: three boxes that do not see each other are drawn, the rest is searched."""
    grid = [0] * CELLS
    for box in range(3):
        digits = iter(random.sample(range(1, 10), 9))
        for row in range(3 * box, 3 * box + 3):
            grid[9 * row + 3 * box : 9 * row + 3 * box + 3] = islice(digits, 3)
    return next(solutions(candidates_of(grid), random))


def dig(solution: Grid, givens: int, random: Random) -> Puzzle:
    """Empty cells in random order while the solution stays the only one, until ``givens`` are left or none can go.

    A cell may be emptied if no other digit in its place leads to a solution.
    """
    grid, left = list(solution), CELLS
    for cell in random.sample(range(CELLS), CELLS):
        if left == givens:
            break
        digit, grid[cell] = grid[cell], 0
        boards = candidates_of(grid)
        boards[digit - 1] &= ~(1 << cell)
        if next(solutions(boards), None) is None:
            left -= 1
        else:
            grid[cell] = digit
    return Puzzle(tuple(grid), solution)


def dug_puzzle(seed: int, givens: int = 0) -> Puzzle:
    """The puzzle of ``seed`` with at least ``givens`` cells given; with 0, no given can be taken away."""
    random = Random(seed)
    return dig(solved_grid(random), givens, random)


def puzzles_with(givens: int, first_seed: int) -> Iterator[Puzzle]:
    """Puzzles with exactly ``givens`` cells given, in the order of their seeds; seeds that stop short are skipped."""
    dug = (dug_puzzle(seed, givens) for seed in count(first_seed))
    return (puzzle for puzzle in dug if puzzle.given_count == givens)
