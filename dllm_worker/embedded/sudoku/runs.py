"""What the model card tells: which puzzles, algorithms and budgets are measured, and each in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

from dllm_worker.embedded.sudoku.evaluate import EVALUATION_SEED, Score, score, unseen
from dllm_worker.embedded.sudoku.network import fold_positions, untrained
from dllm_worker.embedded.sudoku.puzzles import Puzzle
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Algorithm, SamplingParameters

TUNING_SEED = 2_000_000
GIVENS = (45, 36, 30, 26)
ALGORITHMS: tuple[Algorithm, ...] = ("random", "low_confidence", "confidence_threshold", "entropy_bound")
STEP_BUDGETS = (1, 2, 4, 8, 12, 32, None)
THRESHOLDS = (0.8, 0.9, 0.99, 0.995)
ENTROPY_BOUNDS = (0.02, 0.05, 0.1, 0.5)
ENTROPY_EXITS = (0.01, 0.1)
TUNED_GIVENS = (30, 26)
COMPARED_GIVENS, COMPARED_STEPS = 30, (32, 12)


@dataclass(frozen=True, slots=True)
class Run:
    """What is measured together: a table of the model card, a number of givens, a way to sample."""

    table: str
    givens: int
    sampling: SamplingParameters


def all_runs(defaults: SamplingParameters) -> list[Run]:
    """Everything that the model card tells."""
    compared = (replace(defaults, max_steps=steps) for steps in COMPARED_STEPS)
    return [
        *(Run("settings", givens, sampling) for givens in GIVENS for sampling in every_setting(defaults)),
        *(Run("tuning", givens, sampling) for givens in TUNED_GIVENS for sampling in tuned_settings(defaults)),
        *(Run(name, COMPARED_GIVENS, sampling) for sampling in compared for name in ("untrained", "trained")),
    ]


def every_setting(defaults: SamplingParameters) -> Iterator[SamplingParameters]:
    """All algorithms with all step budgets, at the default threshold and bound, without early exit."""
    for algorithm, budget in product(ALGORITHMS, STEP_BUDGETS):
        yield replace(defaults, algorithm=algorithm, max_steps=budget, entropy_exit=None)


def tuned_settings(defaults: SamplingParameters) -> Iterator[SamplingParameters]:
    """Thresholds, bounds and exits around the defaults, within the default step budget."""
    plain = replace(defaults, entropy_exit=None)
    yield from (replace(plain, algorithm="confidence_threshold", threshold=share) for share in THRESHOLDS)
    yield from (replace(plain, algorithm="entropy_bound", entropy_bound=nats) for nats in ENTROPY_BOUNDS)
    yield from (replace(defaults, entropy_exit=nats) for nats in ENTROPY_EXITS)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of an evaluation, in whatever process it is asked for."""

    checkpoint: Path
    dtype: str
    puzzles: int

    def __call__(self, run: Run) -> Score:
        model = _loaded(self.checkpoint, self.dtype, run.table != "untrained")
        puzzles = _puzzles(run.givens, self.puzzles, TUNING_SEED if run.table == "tuning" else EVALUATION_SEED)
        return score(model, puzzles, run.sampling)


@cache
def _loaded(checkpoint: Path, dtype: str, trained: bool) -> LoadedModel:
    model = load_model(checkpoint, dtype)
    return model if trained else random_weights(model)


@cache
def _puzzles(givens: int, count: int, first_seed: int) -> tuple[Puzzle, ...]:
    return tuple(unseen(givens, count, first_seed))


def random_weights(model: LoadedModel) -> LoadedModel:
    """The same model before training."""
    network = untrained(seed=0)
    fold_positions(network)
    return replace(model, denoiser=network.to(model.dtype).requires_grad_(requires_grad=False))
