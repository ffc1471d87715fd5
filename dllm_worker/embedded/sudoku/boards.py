"""Training boards: puzzles permuted and re-labelled at random, with some of their holes filled in.

A puzzle with one solution keeps it when holes are filled in, so one puzzle yields endless boards on which every
hole has a determined digit. A share of the boards is emptied at random instead, whatever that leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_worker.embedded.sudoku.puzzles import Puzzle
from dllm_worker.embedded.sudoku.solver import deduction_rounds
from dllm_worker.embedded.sudoku.vocabulary import MASK_ID

_DISORDER = 3.0
"""How many rounds a hole may be filled in before or after its turn."""


@dataclass(frozen=True, slots=True)
class BoardMix:
    """Shares of a batch; the rest are puzzles whose easiest holes are filled in, as a solver leaves them on its way."""

    emptied: float = 0.1
    """Solved grids with any cells emptied."""
    partial: float = 0.15
    """Puzzles with any of their holes filled in."""
    whole: float = 0.25
    """Puzzles as they are."""


@dataclass(frozen=True, slots=True)
class Bases:
    """Puzzles to draw boards from, ``[n, 81]``: ``tokens`` of the solutions, int64, and ``rounds``, int64.

    A given has round 0 and a hole the round in which it can be deduced (:func:`deduction_rounds`).
    """

    tokens: Tensor
    rounds: Tensor

    @classmethod
    def of(cls, puzzles: Sequence[Puzzle]) -> Bases:
        tokens = torch.tensor([puzzle.solution for puzzle in puzzles]) - 1
        return cls(tokens, torch.tensor([deduction_rounds(puzzle.givens) for puzzle in puzzles]))


def draw_boards(bases: Bases, count: int, mix: BoardMix, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """``(tokens, targets)``, both int64 ``[count, 81]``: boards with masks in their holes, and their solutions."""
    picked = torch.randint(len(bases.tokens), (count,), generator=generator)
    targets, rounds = transform(bases.tokens[picked], bases.rounds[picked], generator)
    emptied, partial, whole = (round(share * count) for share in (mix.emptied, mix.partial, mix.whole))
    holes = rounds > 0
    any_order = torch.rand(rounds.shape, generator=generator)
    holes[:emptied] = last_of(torch.ones_like(holes[:emptied]), any_order[:emptied], generator)
    some = slice(emptied, emptied + partial)
    holes[some] = last_of(holes[some], any_order[some], generator)
    eased = slice(emptied + partial + whole, None)
    holes[eased] = last_of(holes[eased], rounds[eased] + _DISORDER * any_order[eased], generator)
    return torch.where(holes, MASK_ID, targets), targets


def transform(tokens: Tensor, rounds: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each board another one that is as hard: cells permuted by a symmetry, digits re-labelled."""
    cells = symmetries(len(tokens), generator)
    labels = torch.rand(len(tokens), 9, generator=generator).argsort(1)
    return labels.gather(1, tokens.gather(1, cells)), rounds.gather(1, cells)


def symmetries(count: int, generator: torch.Generator) -> Tensor:
    """Random cell permutations that keep rows, columns and boxes: int64 ``[count, 81]``, the source of each cell."""
    rows, columns = _line_orders(count, generator), _line_orders(count, generator)
    cells = 9 * rows[:, :, None] + columns[:, None, :]
    transposed = torch.rand(count, 1, 1, generator=generator) < 0.5
    return torch.where(transposed, cells.transpose(1, 2), cells).flatten(1)


def _line_orders(count: int, generator: torch.Generator) -> Tensor:
    """Orders of nine lines ``[count, 9]`` that keep the three lines of a band together."""
    bands = torch.rand(count, 3, generator=generator).argsort(1)
    lines = torch.rand(count, 3, 3, generator=generator).argsort(2)
    return (3 * bands[:, :, None] + lines).flatten(1)


def last_of(holes: Tensor, order: Tensor, generator: torch.Generator) -> Tensor:
    """The last of each board's holes by ``order``, as many as a draw between one and all of them says."""
    kept = 1 + (torch.rand(len(holes), 1, generator=generator) * holes.sum(1, keepdim=True)).long()
    ranks = order.masked_fill(~holes, -torch.inf).argsort(1, descending=True).argsort(1)
    return holes & (ranks < kept)
