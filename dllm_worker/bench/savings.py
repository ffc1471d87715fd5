"""What is not computed: early exits end a canvas sooner, and caches keep what a step need not compute again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from dllm_worker.bench.answering import Answers, answer
from dllm_worker.embedded.sudoku.puzzles import Puzzle, puzzles_with
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import CacheParameters, Request, SamplingParameters
from dllm_worker.text import Text

SUDOKU, CODE = "embedded:tiny-sudoku", "embedded:tiny-code"
PUZZLES, PUZZLE_SEED, GIVENS, HOLE = 40, 20_261_121, 36, 0
PROMPTS = ("def read_lines(path):\n", "class Stack:\n", "import json\n\ndef load(", "def add(a, b):\n")
ANSWER_TOKENS, CANVAS = 96, 32


@dataclass(frozen=True, slots=True)
class Saving:
    """What a way to decode spends on an answer. ``quality`` is the share of right answers, or of tokens that are those
    of the first way in the table.
    """

    model: str
    way: str
    quality: float
    steps: float
    position_forwards: float
    of_first: float
    tokens_per_forward: float


def savings(dtype: str, device: str) -> list[Saving]:
    """Early exit on unseen Sudokus, then approximate caches under bidirectional attention."""
    sudoku = load_model(resolve_checkpoint(SUDOKU), dtype, device)
    path = resolve_checkpoint(CODE)
    code, text = load_model(path, dtype, device), Text.load(path)
    prompts = [(*text.begin(), *text.encode(prompt)) for prompt in PROMPTS]
    puzzles = list(islice(puzzles_with(GIVENS, PUZZLE_SEED), PUZZLES))
    return early_exit(sudoku, puzzles) + caches(code, prompts)


def early_exit(model: LoadedModel, puzzles: Sequence[Puzzle]) -> list[Saving]:
    """The same puzzles by rules that stop sooner and sooner."""
    rules = {
        "one a step": SamplingParameters(algorithm="low_confidence"),
        "one a step, entropy exit 0.05": SamplingParameters(algorithm="low_confidence", entropy_exit=0.05),
        "one a step, gap exit": SamplingParameters(algorithm="low_confidence", gap_exit=1.0),
        "confidence threshold 0.9": SamplingParameters(threshold=0.9),
        "entropy bound 0.1": SamplingParameters(algorithm="entropy_bound", entropy_bound=0.1),
    }
    rows: list[Saving] = []
    for rule, sampling in rules.items():
        answers = answer(model, [_puzzle(str(i), puzzle, sampling) for i, puzzle in enumerate(puzzles)])
        right = sum(answers.tokens[str(i)] == [d - 1 for d in puzzle.solution] for i, puzzle in enumerate(puzzles))
        rows.append(_row(SUDOKU, rule, right / len(puzzles), answers, rows))
    return rows


def caches(model: LoadedModel, prompts: Sequence[tuple[int, ...]]) -> list[Saving]:
    """The same prompts with everything computed in every step, and with what is kept between refreshes."""
    ways = {
        "no cache": CacheParameters(),
        "prefix": CacheParameters("prefix"),
        "prefix, refresh every 8": CacheParameters("prefix", refresh_every=8),
        "dual": CacheParameters("dual"),
        "dual, refresh every 8": CacheParameters("dual", refresh_every=8),
        "vicinity 16, refresh every 8": CacheParameters("vicinity", refresh_every=8),
    }
    sampling = replace(model.description.defaults, eos="ignore", leftmost_eos=False)
    whole = Request(
        "", max_tokens=ANSWER_TOKENS, canvas_length=CANVAS, context_attention="bidirectional", sampling=sampling
    )
    rows: list[Saving] = []
    uncached: Answers | None = None
    for way, cache in ways.items():
        asked = [replace(whole, id=str(i), prompt=prompt, cache=cache) for i, prompt in enumerate(prompts)]
        answers = answer(model, asked)
        uncached = uncached or answers
        rows.append(_row(CODE, way, _agreement(answers, uncached), answers, rows))
    return rows


def _puzzle(identity: str, puzzle: Puzzle, sampling: SamplingParameters) -> Request:
    """Token ids are one below their digits."""
    template = tuple(None if digit == HOLE else digit - 1 for digit in puzzle.givens)
    return Request(identity, template=template, sampling=sampling)


def _agreement(answers: Answers, others: Answers) -> float:
    pairs = [pair for name in answers.tokens for pair in zip(answers.tokens[name], others.tokens[name], strict=True)]
    return sum(token == other for token, other in pairs) / len(pairs)


def _row(model: str, way: str, quality: float, answers: Answers, before: list[Saving]) -> Saving:
    usages = list(answers.usages.values())
    spent = sum(usage.position_forwards for usage in usages) / len(usages)
    completed = sum(usage.completion_tokens for usage in usages)
    return Saving(
        model=model,
        way=way,
        quality=quality,
        steps=sum(usage.denoising_steps for usage in usages) / len(usages),
        position_forwards=spent,
        of_first=spent / (before[0].position_forwards if before else spent),
        tokens_per_forward=completed / sum(usage.forward_passes for usage in usages),
    )
