"""What a predicted answer saves when it is right, half right and wrong; and what log-probabilities cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dllm_worker.bench.answering import Answers, answer
from dllm_worker.bench.timing import fastest
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Algorithm, Request
from dllm_worker.text import Text

CODE = "embedded:tiny-code"
PROMPTS = (
    "def read_lines(path):\n",
    "class Stack:\n",
    "import json\n\ndef load(",
    "def add(a, b):\n",
    "def is_empty(self):\n",
    "def parse_args(argv):\n",
)
ANSWER_TOKENS, REPETITIONS = 96, 3
ALGORITHMS: tuple[Algorithm, ...] = ("confidence_threshold", "low_confidence", "pipelined")
ALTERNATIVES = (None, 0, 5, 20)


@dataclass(frozen=True, slots=True)
class Saving:
    """Means over the prompts. ``of_none`` compares the position-forwards with those without a guess, and ``agreement``
    is the share of tokens that are those of the answer without one.
    """

    algorithm: str
    guess: str
    steps: float
    position_forwards: float
    of_none: float
    agreement: float
    accepted_prediction_tokens: float
    rejected_prediction_tokens: float


@dataclass(frozen=True, slots=True)
class Price:
    """Tokens per second with so many alternatives to each token; ``of_none`` is the time over that of not asking."""

    alternatives: int | None
    tokens_per_second: float
    of_none: float


def prompts(text: Text) -> list[tuple[int, ...]]:
    """The beginnings that are continued."""
    return [(*text.begin(), *text.encode(prompt)) for prompt in PROMPTS]


def saved_by_predictions(dtype: str, device: str) -> list[Saving]:
    """The same prompts with guesses that are more and more wrong, by rules that accept much or little in a step."""
    path = resolve_checkpoint(CODE)
    model, starts = load_model(path, dtype, device), prompts(Text.load(path))
    return [row for algorithm in ALGORITHMS for row in savings_of(model, starts, algorithm)]


def savings_of(model: LoadedModel, starts: Sequence[tuple[int, ...]], algorithm: Algorithm) -> list[Saving]:
    """A right guess is the own answer, a wrong one that to another prompt, and one half of each is half right."""
    sampling = replace(model.description.defaults, algorithm=algorithm, eos="ignore", leftmost_eos=False)
    asked = [Request(str(i), prompt, max_tokens=ANSWER_TOKENS, sampling=sampling) for i, prompt in enumerate(starts)]
    without = answer(model, asked)
    rows = [_row(algorithm, "none", without, without)]
    for name, guesses in _guesses(without, [request.id for request in asked]).items():
        guessed = [replace(request, prediction=guesses[request.id]) for request in asked]
        rows.append(_row(algorithm, name, answer(model, guessed), without))
    return rows


def _guesses(without: Answers, names: Sequence[str]) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    own = {name: tuple(without.tokens[name]) for name in names}
    other = {name: own[names[(i + 1) % len(names)]] for i, name in enumerate(names)}
    middle = ANSWER_TOKENS // 2
    return {
        "right": own,
        "half right": {name: own[name][:middle] + other[name][middle:] for name in names},
        "wrong": other,
    }


def _row(algorithm: str, guess: str, answers: Answers, without: Answers) -> Saving:
    usages, count = list(answers.usages.values()), len(answers.usages)
    spent = sum(usage.position_forwards for usage in usages)
    pairs = [pair for name in answers.tokens for pair in zip(answers.tokens[name], without.tokens[name], strict=True)]
    return Saving(
        algorithm=algorithm,
        guess=guess,
        steps=sum(usage.denoising_steps for usage in usages) / count,
        position_forwards=spent / count,
        of_none=spent / sum(usage.position_forwards for usage in without.usages.values()),
        agreement=sum(token == other for token, other in pairs) / len(pairs),
        accepted_prediction_tokens=sum(usage.accepted_prediction_tokens for usage in usages) / count,
        rejected_prediction_tokens=sum(usage.rejected_prediction_tokens for usage in usages) / count,
    )


def price_of_logprobs(dtype: str, device: str) -> list[Price]:
    """The same batch, asking for more and more; the runs take turns."""
    path = resolve_checkpoint(CODE)
    model, starts = load_model(path, dtype, device), prompts(Text.load(path))
    sampling = replace(model.description.defaults, eos="ignore", leftmost_eos=False)
    asked = [Request(str(i), prompt, max_tokens=ANSWER_TOKENS, sampling=sampling) for i, prompt in enumerate(starts)]
    return prices(model, asked)


def prices(model: LoadedModel, asked: Sequence[Request]) -> list[Price]:
    """What ``asked`` takes with each number of alternatives."""
    runs = {
        str(count): lambda count=count: answer(model, [replace(request, logprobs=count) for request in asked])
        for count in ALTERNATIVES
    }
    seconds = fastest(runs, REPETITIONS, model.device)
    tokens = sum(request.max_tokens for request in asked)
    return [Price(count, tokens / seconds[str(count)], seconds[str(count)] / seconds["None"]) for count in ALTERNATIVES]
