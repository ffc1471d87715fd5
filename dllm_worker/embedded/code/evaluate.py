"""Measures a checkpoint on packages that it was not trained on, and writes ``evaluation.json`` beside its weights."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from dllm_worker.embedded.code import corpus, filling, likelihood, tokenizer, writing
from dllm_worker.embedded.code.card import EVALUATION_FILE
from dllm_worker.embedded.code.dataset import Dataset
from dllm_worker.embedded.code.filling import Case
from dllm_worker.embedded.code.functions import Function
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import SamplingParameters
from dllm_worker.spec import ContextAttention

SEED = 7
WINDOWS, WINDOW_LENGTH = 96, 256
FUNCTIONS = 150
RATES = (0.15, 0.3, 0.5, 0.7, 0.9, 1.0)
CANVASES: tuple[tuple[ContextAttention, int], ...] = (
    ("bidirectional", 0),
    ("block_causal", 4),
    ("block_causal", 16),
    ("block_causal", 32),
    ("block_causal", 128),
    ("causal", 1),
    ("causal", 4),
    ("causal", 32),
)
CORRUPTED_SHARE = 0.15
STEP_BUDGETS: Mapping[str, tuple[int | None, ...]] = {
    "short": (1, 2, None),
    "line": (1, 2, 4, 8, 16, None),
    "lines": (1, 2, 4, 8, 16, None),
}
"""By kind of hole; ``None`` is one token a step."""

WRITING_CANVASES, WRITING_THRESHOLDS = (8, 32), (0.6, 0.9)
THRESHOLDS = (0.5, 0.7, 0.9, 0.95)


def evaluate(run: Path, folder: Path) -> dict[str, Any]:
    """All measurements of the checkpoint in ``folder``; the held-out text is in ``run``. Deterministic."""
    model, words = load_model(folder, "bfloat16"), tokenizer.load(folder)
    dataset = Dataset.load(run / "held_out.npz")
    functions = filling.held_out_functions(corpus.read(run / "held_out.jsonl"), words, FUNCTIONS, SEED)
    text = likelihood.draw_text(dataset, words, WINDOWS, WINDOW_LENGTH, SEED)
    return {
        "revision": model.description.revision,
        "likelihood": measure_likelihood(model, text),
        "filling": measure_filling(model, words, functions),
        "writing": measure_writing(model, words, functions),
    }


def write(report: dict[str, Any], folder: Path) -> None:
    """Put the report beside the weights."""
    (folder / EVALUATION_FILE).write_text(json.dumps(report, indent=2) + "\n")


def measure_likelihood(model: LoadedModel, text: likelihood.HeldOutText) -> dict[str, Any]:
    """Cross-entropies in nats per token by mask rate, bits per byte by canvas, and denoising accuracies."""
    restored, kept = likelihood.restored_share(model, text, CORRUPTED_SHARE, SEED)
    return {
        "tokens": int(text.windows.size),
        "bytes_per_token": round(text.bytes / text.windows.size, 4),
        "masked_cross_entropy": {
            str(rate): round(likelihood.masked_cross_entropy(model, text, rate, SEED), 4) for rate in RATES
        },
        "bits_per_byte": {
            f"{attention}/{block}" if block else attention: round(
                likelihood.bits_per_byte(model, text, attention, block, SEED), 4
            )
            for attention, block in CANVASES
        },
        "uniform_noise": {"restored": round(restored, 4), "kept": round(kept, 4)},
    }


def measure_filling(model: LoadedModel, words: Tokenizer, functions: list[Function]) -> dict[str, Any]:
    """Every kind of hole under every step budget and threshold."""
    kinds: dict[str, Callable[[Function, random.Random], Case | None]] = {
        "short": lambda function, rng: filling.short_case(function, words, rng),
        "line": lambda function, rng: filling.line_case(function, words, (1, 1), rng),
        "lines": lambda function, rng: filling.line_case(function, words, (2, 4), rng),
    }
    report: dict[str, Any] = {}
    for kind, make in kinds.items():
        rng = random.Random(SEED)
        cases = [case for case in (make(function, rng) for function in functions) if case]
        scores = {name: filling.score(model, words, cases, sampling) for name, sampling in settings(kind).items()}
        report[kind] = {
            "hole_tokens": round(sum(len(case.hole) for case in cases) / len(cases), 2),
            "emptied_parses": round(filling.emptied(words, cases), 4),
            "settings": scores,
        }
    return report


def measure_writing(model: LoadedModel, words: Tokenizer, functions: list[Function]) -> dict[str, dict[str, float]]:
    """Bodies by canvas length, one token a step and by threshold; a canvas of one position is autoregressive."""
    samplings = {
        "one token a step": SamplingParameters(algorithm="low_confidence", leftmost_eos=True),
        **{f"threshold={t}": SamplingParameters(threshold=t, leftmost_eos=True) for t in WRITING_THRESHOLDS},
    }
    report = {"canvas=1": writing.score(model, words, functions, 1, SamplingParameters())}
    for length in WRITING_CANVASES:
        for name, sampling in samplings.items():
            report[f"canvas={length}, {name}"] = writing.score(model, words, functions, length, sampling)
    return report


def settings(kind: str) -> dict[str, SamplingParameters]:
    """The samplings that are compared on holes of ``kind``, by the name they have in the report."""
    budgets = {
        f"steps={budget or 'tokens'}": SamplingParameters(algorithm="low_confidence", max_steps=budget)
        for budget in STEP_BUDGETS[kind]
    }
    thresholds = {
        f"threshold={threshold}": SamplingParameters(algorithm="confidence_threshold", threshold=threshold)
        for threshold in THRESHOLDS
    }
    return {**budgets, **thresholds}
