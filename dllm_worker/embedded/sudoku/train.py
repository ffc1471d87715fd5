"""Trains tiny-sudoku from seeds alone: digs puzzles, draws boards from them, keeps averaged weights."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from dllm_worker.embedded.optimizer import muon
from dllm_worker.embedded.sudoku.boards import Bases, BoardMix, draw_boards
from dllm_worker.embedded.sudoku.network import deep_loss, loop_of, untrained
from dllm_worker.embedded.sudoku.puzzles import dug_puzzle
from dllm_worker.embedded.training import Trainer, TrainingPlan
from dllm_worker.models.embedded import EmbeddedDenoiser

SEED = 0
TRAINING_SEEDS = range(12_000)
"""Seeds of the base puzzles. Evaluation starts far above them."""

BATCH = 128
MIX = BoardMix()
BASES_FILE = "bases.pt"


def training_plan(seconds: float) -> TrainingPlan:
    """The recipe's rates for a wall-clock budget."""
    return TrainingPlan(seconds=seconds, learning_rate=2e-3, warmup_steps=60)


def bases_of(seeds: range, processes: int = 1) -> Bases:
    """A puzzle for each seed, with as few givens as its digging came to."""
    with ProcessPoolExecutor(processes) as pool:
        return Bases.of(list(pool.map(dug_puzzle, seeds, chunksize=16)))


def bases_in(directory: Path, processes: int) -> Bases:
    """The base puzzles, dug once and kept in ``directory``."""
    file = directory / BASES_FILE
    if not file.exists():
        bases = bases_of(TRAINING_SEEDS, processes)
        directory.mkdir(parents=True, exist_ok=True)
        torch.save((bases.tokens, bases.rounds), file)
    return Bases(*torch.load(file, weights_only=True))


def trainer_of(model: EmbeddedDenoiser, directory: Path, seconds: float) -> Trainer:
    """The training that lives in ``directory``: a new one, or where the last run left it."""
    plan = training_plan(seconds)
    return Trainer(model, plan, directory, muon(model, plan))


def compiled_loss(model: EmbeddedDenoiser) -> Callable[[Tensor, Tensor], Tensor]:
    """The deep loss under bfloat16 autocast; the loop is compiled once and run ``num_layer_repeats`` times."""
    loop = torch.compile(loop_of(model))

    def loss(tokens: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return deep_loss(model, loop, tokens, targets)

    return loss


def train(directory: Path, seconds: float, processes: int) -> None:
    """Train until ``seconds`` are spent over all runs in ``directory``; digging the puzzles comes on top."""
    bases = bases_in(directory, processes)
    model = untrained(SEED)
    loss = compiled_loss(model)

    def batch_loss(step: int) -> Tensor:
        generator = torch.Generator().manual_seed(SEED + step)
        return loss(*draw_boards(bases, BATCH, MIX, generator))

    trainer_of(model, directory, seconds).run(batch_loss)


def trained(directory: Path) -> EmbeddedDenoiser:
    """The averaged weights of the training in ``directory``."""
    model = untrained(SEED)
    trainer_of(model, directory, seconds=0.0).load_average()
    return model
