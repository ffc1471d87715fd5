"""Holes in real held-out functions, filled by the engine as any served request is, and how good the fillings are."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from tokenizers import Tokenizer

from dllm_worker.embedded.code.corpus import Document, parses
from dllm_worker.embedded.code.functions import Function, find_functions
from dllm_worker.embedded.code.tokenizer import BOS_ID
from dllm_worker.engine import Engine
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Commit, Finish, Request, SamplingParameters, Usage

_SHORTEST, _LONGEST = 40, 160
_SHORT_HOLE = 3


@dataclass(frozen=True, slots=True)
class Case:
    """A function's tokens; those of ``start:stop`` are the hole."""

    tokens: tuple[int, ...]
    start: int
    stop: int

    @property
    def hole(self) -> tuple[int, ...]:
        return self.tokens[self.start : self.stop]

    @property
    def template(self) -> tuple[int | None, ...]:
        return (*self.tokens[: self.start], *[None] * len(self.hole), *self.tokens[self.stop :])


@dataclass(frozen=True, slots=True)
class FillingScore:
    """Shares and means over all cases of one setting."""

    cases: int
    parses: float
    exact: float
    right_tokens: float
    steps: float
    tokens_per_step: float


def held_out_functions(documents: Iterable[Document], tokenizer: Tokenizer, count: int, seed: int) -> list[Function]:
    """Documented functions of a fitting length, drawn from all held-out files."""
    found = [function for document in documents for function in find_functions(document.text)]
    random.Random(seed).shuffle(found)
    fitting = (f for f in found if _SHORTEST <= len(tokenizer.encode(f.source).ids) <= _LONGEST and parses(f.source))
    return [function for function, _ in zip(fitting, range(count), strict=False)]


def line_case(function: Function, tokenizer: Tokenizer, lines: tuple[int, int], rng: random.Random) -> Case | None:
    """Hide ``lines[0]`` to ``lines[1]`` consecutive lines of the body, all but the first one's indent."""
    rows = [row for row, line in enumerate(function.body.split("\n")) if line.strip()]
    count = rng.randint(*lines)
    if len(rows) < count:
        return None
    first = rng.randrange(len(rows) - count + 1)
    body = function.body.split("\n")
    before = function.head + "".join(line + "\n" for line in body[: rows[first]])
    hidden = "\n".join(body[rows[first] : rows[first + count - 1] + 1])
    indent = hidden[: len(hidden) - len(hidden.lstrip())]
    return _case(tokenizer, before + indent, hidden.lstrip(), function.source[len(before) + len(hidden) :])


def short_case(function: Function, tokenizer: Tokenizer, rng: random.Random) -> Case | None:
    """Hide one to three consecutive tokens of one line of the body."""
    line = line_case(function, tokenizer, (1, 1), rng)
    if line is None:
        return None
    count = min(rng.randint(1, _SHORT_HOLE), len(line.hole))
    start = line.start + rng.randrange(len(line.hole) - count + 1)
    return Case(line.tokens, start, start + count)


def fill(
    model: LoadedModel, cases: Sequence[Case], sampling: SamplingParameters
) -> list[tuple[tuple[int, ...], Usage]]:
    """The tokens of every filled template, and the work it took."""
    engine = Engine(model)
    for k, case in enumerate(cases):
        engine.add(Request(str(k), prompt=(BOS_ID,), template=case.template, sampling=sampling))
    filled: dict[str, list[int]] = {str(k): [] for k in range(len(cases))}
    usages: dict[str, Usage] = {}
    while engine.has_work:
        for event in engine.step():
            if isinstance(event, Commit):
                filled[event.request_id] += event.tokens
            elif isinstance(event, Finish):
                usages[event.request_id] = event.usage
    return [(tuple(tokens), usages[name]) for name, tokens in filled.items()]


def score(
    model: LoadedModel, tokenizer: Tokenizer, cases: Sequence[Case], sampling: SamplingParameters
) -> dict[str, float]:
    """Fill all ``cases`` and compare with what was there."""
    results = fill(model, cases, sampling)
    count = len(cases)
    hidden = sum(len(case.hole) for case in cases)
    steps = sum(usage.denoising_steps for _, usage in results)
    matches = [_matches(case, tokens) for case, (tokens, _) in zip(cases, results, strict=True)]
    result = FillingScore(
        cases=count,
        parses=sum(parses(tokenizer.decode(tokens)) for tokens, _ in results) / count,
        exact=sum(all(row) for row in matches) / count,
        right_tokens=sum(map(sum, matches)) / hidden,
        steps=steps / count,
        tokens_per_step=hidden / steps,
    )
    return {name: round(value, 4) for name, value in asdict(result).items()}


def emptied(tokenizer: Tokenizer, cases: Sequence[Case]) -> float:
    """The share of cases that parse with nothing in the hole: what a filling has to beat."""
    texts = [tokenizer.decode(case.tokens[: case.start] + case.tokens[case.stop :]) for case in cases]
    return sum(map(parses, texts)) / len(cases)


def _matches(case: Case, tokens: tuple[int, ...]) -> list[bool]:
    return [got == wanted for got, wanted in zip(tokens[case.start : case.stop], case.hole, strict=True)]


def _case(tokenizer: Tokenizer, before: str, hidden: str, after: str) -> Case:
    """Encode the three parts; a hole of lines begins and ends at unit borders, so this is how the whole is encoded."""
    prefix, hole, suffix = (tokenizer.encode(part).ids for part in (before, hidden, after))
    return Case((*prefix, *hole, *suffix), len(prefix), len(prefix) + len(hole))
