"""``python -m dllm_worker.embedded.code corpus | tokenizer | train | export | evaluate | card``, in this order."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from dllm_worker.embedded.code import card, corpus, dataset, evaluate, export, tokenizer, train
from dllm_worker.embedded.training import STATE_FILE

CHARACTERS_PER_CUT = 400


def gather_corpus(options: argparse.Namespace) -> None:
    """Download the wheels of the manifest and write the training and the held-out text."""
    wheels = options.run / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    corpus.download(corpus.read_manifest(), wheels)
    for use in (corpus.TRAIN, corpus.HELD_OUT):
        characters = corpus.write(corpus.gather(use, wheels), options.run / f"{use}.jsonl")
        print(f"{use}: {characters / 1e6:.1f} million characters")


def train_tokenizer(options: argparse.Namespace) -> None:
    """Learn the vocabulary from the training text and encode both texts with it."""
    documents = corpus.read(options.run / f"{corpus.TRAIN}.jsonl")
    words = tokenizer.train(document.text for document in documents)
    tokenizer.save(words, options.checkpoint, train.CONFIG.max_position_embeddings)
    for use, characters_per_cut in ((corpus.TRAIN, CHARACTERS_PER_CUT), (corpus.HELD_OUT, 0)):
        encoded = dataset.build(corpus.read(options.run / f"{use}.jsonl"), words, characters_per_cut)
        encoded.save(options.run / f"{use}.npz")
        print(f"{use}: {len(encoded.tokens) / 1e6:.2f} million tokens, {len(encoded.prompts)} conversations")


def train_network(options: argparse.Namespace) -> None:
    """Train, or go on training, until the time is spent."""
    torch.set_num_threads(options.threads)
    trainer = train.train(options.run / f"{corpus.TRAIN}.npz", options.run / "training", options.seconds, options.rate)
    print(f"step {trainer.step} after {trainer.elapsed:.0f} s")


def export_checkpoint(options: argparse.Namespace) -> None:
    """Write the averaged weights into the checkpoint folder."""
    print(f"exported step {export.export(options.run / 'training', options.checkpoint)}")


def evaluate_checkpoint(options: argparse.Namespace) -> None:
    """Measure the checkpoint on the held-out text and write ``evaluation.json``."""
    torch.set_num_threads(options.threads)
    evaluate.write(evaluate.evaluate(options.run, options.checkpoint), options.checkpoint)


def write_card(options: argparse.Namespace) -> None:
    """Write the model card from ``evaluation.json`` and the training's state."""
    state = torch.load(options.run / "training" / STATE_FILE, weights_only=True)
    training = {
        "steps": state["step"],
        "seconds": state["elapsed"],
        "parameters": sum(tensor.numel() for tensor in state["average"].values()),
        "characters": sum(len(document.text) for document in corpus.read(options.run / f"{corpus.TRAIN}.jsonl")),
    }
    report = json.loads((options.checkpoint / card.EVALUATION_FILE).read_text())
    (options.checkpoint / card.CARD_FILE).write_text(card.model_card(report, training))


COMMANDS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "corpus": gather_corpus,
    "tokenizer": train_tokenizer,
    "train": train_network,
    "export": export_checkpoint,
    "evaluate": evaluate_checkpoint,
    "card": write_card,
}


def main() -> None:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(prog="python -m dllm_worker.embedded.code", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--run", type=Path, default=Path("runs/tiny-code"), help="where text and training state live")
    parser.add_argument("--checkpoint", type=Path, default=export.CHECKPOINT)
    parser.add_argument("--seconds", type=float, default=5600.0, help="training time over all resumed runs")
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    COMMANDS[options.command](options)


if __name__ == "__main__":
    main()
