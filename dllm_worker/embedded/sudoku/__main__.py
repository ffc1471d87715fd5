"""``python -m dllm_worker.embedded.sudoku train|export|evaluate|card``."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import torch

from dllm_worker.embedded.sudoku.card import CARD_FILE, EVALUATION_FILE, with_tables
from dllm_worker.embedded.sudoku.checkpoint import CHECKPOINT, export
from dllm_worker.embedded.sudoku.runs import Measurement, all_runs
from dllm_worker.embedded.sudoku.train import train, trained
from dllm_worker.models.checkpoint import describe


def _train(arguments: argparse.Namespace) -> None:
    train(arguments.directory, arguments.seconds, arguments.processes)


def _export(arguments: argparse.Namespace) -> None:
    export(trained(arguments.directory), arguments.checkpoint)


def _evaluate(arguments: argparse.Namespace) -> None:
    tables: dict[str, list[dict[str, object]]] = {}
    runs = all_runs(describe(arguments.checkpoint).defaults)
    measure = Measurement(arguments.checkpoint, arguments.dtype, arguments.puzzles)
    with ProcessPoolExecutor(arguments.processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for run, score in zip(runs, pool.map(measure, runs), strict=True):
            tables.setdefault(run.table, []).append(asdict(score))
            print(run.table, score, flush=True)
    (arguments.checkpoint / EVALUATION_FILE).write_text(json.dumps(tables, indent=1) + "\n")


def _card(arguments: argparse.Namespace) -> None:
    tables = json.loads((arguments.checkpoint / EVALUATION_FILE).read_text())
    card = arguments.checkpoint / CARD_FILE
    card.write_text(with_tables(card.read_text(), tables))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dllm_worker.embedded.sudoku", description=__doc__)
    parser.add_argument("--processes", type=int, default=1, help="that dig puzzles or measure, one thread each")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="the folder of the exported model")
    commands = parser.add_subparsers(required=True)
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("--directory", type=Path, required=True, help="where the training keeps its state")
    command = commands.add_parser("train", parents=[place], help="dig puzzles and train on them; goes on where it was")
    command.add_argument("--seconds", type=float, default=4650.0, help="the time budget over all runs")
    command.set_defaults(run=_train)
    command = commands.add_parser("export", parents=[place], help="write the averaged weights as a checkpoint")
    command.set_defaults(run=_export)
    command = commands.add_parser("evaluate", help="measure a checkpoint through the engine")
    command.add_argument("--puzzles", type=int, default=200, help="unseen puzzles for each row")
    command.add_argument("--dtype", default="float32", help="in which the engine computes")
    command.set_defaults(run=_evaluate)
    command = commands.add_parser("card", help="put the evaluation's figures into the model card")
    command.set_defaults(run=_card)
    return parser


def main(arguments: list[str]) -> None:
    """Run one command."""
    parsed = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    parsed.run(parsed)


if __name__ == "__main__":
    main(sys.argv[1:])
