"""What the requests say."""

from __future__ import annotations

from functools import cache
from random import Random

from deployments.tenancy.tenant import Band
from dllm_worker.embedded.sudoku.puzzles import Puzzle, dug_puzzle
from loadtest.arrivals.arrival import Arrival
from loadtest.exchanges.account import Json
from loadtest.scenario.scenario import Models

TIERS: dict[Band, str] = {"interactive": "priority", "default": "default", "flex": "flex"}
NAMES = ("row", "value", "total", "index", "name", "path", "line", "key", "count", "size", "left", "right")
LINE_TOKENS = 6
"""About how many tokens a line of a prompt has."""

PUZZLES, GIVENS = 32, 40


def prompt(arrival: Arrival) -> str:
    """Lines of code of about the arrival's length, which no other arrival has."""
    random = Random(arrival.seed)  # noqa: S311
    lines = (
        f"{random.choice(NAMES)} = {random.choice(NAMES)}({random.randrange(1000)})"
        for _ in range(max(1, arrival.prompt_tokens // LINE_TOKENS))
    )
    return "\n".join(lines) + "\n"


def terms(arrival: Arrival, model: str) -> Json:
    """What every body has."""
    return {"model": model, "seed": arrival.seed, "service_tier": TIERS[arrival.band]}


def completion(arrival: Arrival, models: Models) -> Json:
    """A prompt to continue."""
    return terms(arrival, models.text) | {"prompt": prompt(arrival), "max_tokens": arrival.answer_tokens}


def chat(arrival: Arrival, models: Models) -> Json:
    """A conversation to answer as a stream."""
    return terms(arrival, models.text) | {
        "messages": [{"role": "user", "content": prompt(arrival)}],
        "max_tokens": arrival.answer_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def response(arrival: Arrival, models: Models) -> Json:
    """The same as a job in the background."""
    length = {"max_output_tokens": max(1, arrival.answer_tokens)}
    return terms(arrival, models.text) | {"input": prompt(arrival), "background": True, **length}


def infill(arrival: Arrival, models: Models) -> Json:
    """A Sudoku to solve."""
    template = "".join(str(digit) if digit else "." for digit in puzzle(arrival).givens)
    return terms(arrival, models.sudoku) | {"template": template, "hole": ".", "hole_tokens": 1}


def puzzle(arrival: Arrival) -> Puzzle:
    """One of ``PUZZLES``."""
    return _puzzle(arrival.seed % PUZZLES)


def prepare() -> None:
    """Dig the puzzles, which takes too long while requests are due."""
    for number in range(PUZZLES):
        _puzzle(number)


@cache
def _puzzle(number: int) -> Puzzle:
    return dug_puzzle(number, GIVENS)
