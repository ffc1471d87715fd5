from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dllm_worker.embedded.sudoku.boards import Bases, BoardMix, draw_boards, last_of, symmetries, transform
from dllm_worker.embedded.sudoku.puzzles import dug_puzzle, is_solved, solution_count
from dllm_worker.embedded.sudoku.vocabulary import MASK_ID


@pytest.fixture(scope="module")
def bases() -> Bases:
    return Bases.of([dug_puzzle(seed) for seed in range(8)])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def givens_of(tokens: Tensor) -> tuple[int, ...]:
    return tuple(0 if token == MASK_ID else token + 1 for token in tokens.tolist())


def test_symmetries_are_permutations_that_differ() -> None:
    cells = symmetries(50, seeded(0))
    assert torch.equal(cells.sort(1).values, torch.arange(81).expand(50, 81))
    assert len({tuple(source) for source in cells.tolist()}) == 50


def test_a_transformed_board_is_solved_and_keeps_its_holes_in_number(bases: Bases) -> None:
    tokens, rounds = transform(bases.tokens, bases.rounds, seeded(1))
    assert all(is_solved(grid) for grid in (tokens + 1).tolist())
    assert torch.equal(rounds.sort(1).values, bases.rounds.sort(1).values)
    assert not torch.equal(tokens, bases.tokens)


def test_a_transformed_puzzle_still_has_one_solution(bases: Bases) -> None:
    tokens, targets = draw_boards(bases, 12, BoardMix(emptied=0.0, partial=0.0, whole=1.0), seeded(2))
    assert all(solution_count(givens_of(board)) == 1 for board in tokens)
    assert all(is_solved(grid) for grid in (targets + 1).tolist())


def test_boards_show_their_solution_except_in_the_holes(bases: Bases) -> None:
    tokens, targets = draw_boards(bases, 64, BoardMix(), seeded(3))
    holes = tokens == MASK_ID
    assert bool(holes.any(1).all())
    assert torch.equal(tokens[~holes], targets[~holes])


def test_filled_in_puzzles_have_one_solution_and_any_number_of_holes(bases: Bases) -> None:
    tokens, _ = draw_boards(bases, 40, BoardMix(emptied=0.0, partial=0.5, whole=0.0), seeded(4))
    holes = (tokens == MASK_ID).sum(1)
    assert holes.min() < 15
    assert holes.max() > 45
    assert all(solution_count(givens_of(board)) == 1 for board in tokens)


def test_the_same_generator_draws_the_same_boards(bases: Bases) -> None:
    first, second = (draw_boards(bases, 16, BoardMix(), seeded(5)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_the_last_holes_by_order_are_kept() -> None:
    holes = torch.tensor([[True, True, False, True]]).expand(60, 4)
    order = torch.tensor([[1.0, 3.0, 4.0, 2.0]]).expand(60, 4)
    kept = {tuple(row) for row in last_of(holes, order, seeded(6)).int().tolist()}
    assert kept == {(0, 1, 0, 0), (0, 1, 0, 1), (1, 1, 0, 1)}
