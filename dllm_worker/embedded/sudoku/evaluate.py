"""How many unseen puzzles a checkpoint solves, and in how many steps.

Puzzles are sent through the engine as a user's requests would be, many at a time. All of them have exactly one
solution, so a puzzle is solved when the board equals it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

from dllm_worker.embedded.sudoku.puzzles import Puzzle, puzzles_with
from dllm_worker.embedded.sudoku.solver import CELLS, Grid
from dllm_worker.embedded.sudoku.vocabulary import grid_of, template_of
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Commit, Finish, Request, SamplingParameters, Usage

EVALUATION_SEED = 1_000_000
"""Where unseen puzzles begin, far above the seeds of training."""

_CONCURRENT = 12
_LIMITS = EngineLimits(max_running=_CONCURRENT, position_budget=_CONCURRENT * CELLS, cache_positions=CELLS)


@dataclass(frozen=True, slots=True)
class Answer:
    """The board that a request ended with, and the work it took."""

    grid: Grid
    usage: Usage


@dataclass(frozen=True, slots=True)
class Score:
    """One row of the evaluation; ``max_steps`` ``None`` allows a step for each hole."""

    givens: int
    algorithm: str
    max_steps: int | None
    threshold: float
    entropy_bound: float
    entropy_exit: float | None
    puzzles: int
    solved: float
    mean_steps: float
    most_steps: int
    tokens_per_forward: float


def unseen(givens: int, count: int, first_seed: int = EVALUATION_SEED) -> list[Puzzle]:
    """``count`` puzzles with that many givens, from seeds that training does not use."""
    return list(islice(puzzles_with(givens, first_seed), count))


def solve(model: LoadedModel, puzzles: Sequence[Puzzle], sampling: SamplingParameters) -> list[Answer]:
    """Run all puzzles through one engine; the request's seed is the puzzle's index."""
    engine = Engine(model, _LIMITS)
    for index, puzzle in enumerate(puzzles):
        seeded = replace(sampling, seed=index)
        engine.add(Request(id=str(index), template=template_of(puzzle.givens), sampling=seeded))
    tokens: dict[str, list[int]] = {str(index): [] for index in range(len(puzzles))}
    usages: dict[str, Usage] = {}
    while engine.has_work:
        for event in engine.step():
            if isinstance(event, Commit):
                tokens[event.request_id] += event.tokens
            elif isinstance(event, Finish):
                usages[event.request_id] = event.usage
    return [Answer(grid_of(tokens[name]), usages[name]) for name in tokens]


def score(model: LoadedModel, puzzles: Sequence[Puzzle], sampling: SamplingParameters) -> Score:
    """Solve ``puzzles``, which all have the same number of givens, and sum up."""
    answers = solve(model, puzzles, sampling)
    steps = [answer.usage.denoising_steps for answer in answers]
    pairs = zip(puzzles, answers, strict=True)
    return Score(
        givens=puzzles[0].given_count,
        algorithm=sampling.algorithm,
        max_steps=sampling.max_steps,
        threshold=sampling.threshold,
        entropy_bound=sampling.entropy_bound,
        entropy_exit=sampling.entropy_exit,
        puzzles=len(puzzles),
        solved=fmean(answer.grid == puzzle.solution for puzzle, answer in pairs),
        mean_steps=fmean(steps),
        most_steps=max(steps),
        tokens_per_forward=fmean(answer.usage.tokens_per_forward for answer in answers),
    )
