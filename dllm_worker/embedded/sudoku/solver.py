"""An exact Sudoku solver on bit boards.

A *bit board* is an integer of 81 bits, one per cell in reading order. The state of a search is nine of them: the
cells that may still hold each digit. Naked and hidden singles are then found for the whole board by a few operations
on integers, which makes digging a puzzle with one solution a matter of 20 milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

CELLS = 81
FULL = (1 << CELLS) - 1

Grid = tuple[int, ...]
"""81 entries in reading order: digits 1 to 9, and 0 for a hole."""

Boards = list[int]
"""Nine bit boards: the cells that may still hold 1, 2, ... 9."""


def _units() -> tuple[int, ...]:
    rows = [[9 * line + i for i in range(9)] for line in range(9)]
    columns = [[9 * i + line for i in range(9)] for line in range(9)]
    corners = [27 * band + 3 * stack for band in range(3) for stack in range(3)]
    boxes = [[corner + 9 * i + j for i in range(3) for j in range(3)] for corner in corners]
    return tuple(sum(1 << cell for cell in unit) for unit in rows + columns + boxes)


UNITS = _units()
"""The bit boards of the 9 rows, the 9 columns and the 9 boxes."""


def _open_beside(cell: int) -> int:
    """The cells that may hold the digit of ``cell``: itself, and those in none of its units."""
    seen = 0
    for unit in UNITS:
        if unit >> cell & 1:
            seen |= unit
    return FULL & ~seen | 1 << cell


_OPEN_BESIDE = tuple(_open_beside(cell) for cell in range(CELLS))


def candidates_of(grid: Sequence[int]) -> Boards:
    """What the filled cells of ``grid`` leave open, before any deduction."""
    boards = [sum(1 << cell for cell, digit in enumerate(grid) if not digit)] * 9
    for cell, digit in enumerate(grid):
        if digit:
            boards[digit - 1] = (boards[digit - 1] | 1 << cell) & _OPEN_BESIDE[cell]
    return boards


def solutions(boards: Boards, random: Random | None = None) -> Iterator[Grid]:
    """All grids within ``boards``, which is consumed. ``random`` shuffles the order in which they are found."""
    if not _propagate(boards):
        return
    branch = _branching_cell(boards)
    if not branch:
        yield _grid(boards)
        return
    digits = [digit for digit in range(9) if boards[digit] & branch]
    if random:
        random.shuffle(digits)
    for digit in digits:
        chosen = [board if other == digit else board & ~branch for other, board in enumerate(boards)]
        yield from solutions(chosen, random)


def deduction_rounds(grid: Sequence[int]) -> tuple[int, ...]:
    """For each cell the round in which it is settled when every round settles all naked and hidden singles at once.

    Cells that singles do not settle get the round after the last; filled cells count as settled in round 0.
    """
    boards, settled = candidates_of(grid), sum(1 << cell for cell, digit in enumerate(grid) if digit)
    rounds = [0 if digit else CELLS for digit in grid]
    for number in range(1, CELLS):
        _hidden_singles(boards, settled)
        once, twice, _ = _candidate_counts(boards)
        singles = once & ~twice & ~settled
        if not singles:
            return tuple(min(known, number) for known in rounds)
        _settle(boards, singles)
        settled |= singles
        rounds = [number if singles >> cell & 1 else known for cell, known in enumerate(rounds)]
    return tuple(rounds)


def _propagate(boards: Boards) -> bool:
    """Apply naked and hidden singles until nothing changes; false on a contradiction."""
    settled = 0
    while True:
        once, twice, _ = _candidate_counts(boards)
        if once != FULL:
            return False
        singles = once & ~twice & ~settled
        settled |= singles
        if singles:
            _settle(boards, singles)
            continue
        found = _hidden_singles(boards, settled)
        if not found:
            return found is not None


def _candidate_counts(boards: Boards) -> tuple[int, int, int]:
    """The cells with at least one, two and three candidates."""
    once = twice = thrice = 0
    for board in boards:
        thrice |= twice & board
        twice |= once & board
        once |= board
    return once, twice, thrice


def _settle(boards: Boards, singles: int) -> None:
    """Strike the digits of ``singles`` from the cells that see them."""
    for digit, board in enumerate(boards):
        own = board & singles
        while own:
            lowest = own & -own
            own ^= lowest
            boards[digit] &= _OPEN_BESIDE[lowest.bit_length() - 1]


def _hidden_singles(boards: Boards, settled: int) -> int | None:
    """Leave cells that are a digit's only place in a unit to that digit; ``None`` if a digit has no place."""
    found = 0
    for digit, board in enumerate(boards):
        for unit in UNITS:
            places = board & unit
            if not places:
                return None
            if not places & (places - 1) and not places & settled:
                found |= places
                boards[:] = [other if i == digit else other & ~places for i, other in enumerate(boards)]
    return found


def _branching_cell(boards: Boards) -> int:
    """An open cell, as a bit, with two candidates where there is one; 0 when every cell is settled."""
    _, twice, thrice = _candidate_counts(boards)
    choices = twice & ~thrice or twice
    return choices & -choices


def _grid(boards: Boards) -> Grid:
    return tuple(next(digit + 1 for digit in range(9) if boards[digit] >> cell & 1) for cell in range(CELLS))
