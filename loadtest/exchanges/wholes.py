"""Answers in one piece."""

from __future__ import annotations

from collections.abc import Sequence

from dllm_worker.embedded.sudoku.puzzles import is_solved
from loadtest.exchanges import bodies
from loadtest.exchanges.account import Account, Failure
from loadtest.exchanges.wire import Wire


def unary(wire: Wire, account: Account) -> None:
    """The continuation of a prompt."""
    body = bodies.completion(account.arrival, wire.place.models)
    answer = wire.whole(account, "POST", "/completions", body)
    account.usage, [choice] = answer["usage"], answer["choices"]
    account.text, account.finish = choice["text"], choice["finish_reason"]
    if account.finish is None:
        raise Failure("no_finish_reason")


def infill(wire: Wire, account: Account) -> None:
    """A Sudoku, whose answer has to keep the givens and the rules of the game."""
    body = bodies.infill(account.arrival, wire.place.models)
    answer = wire.whole(account, "POST", "/infill", body)
    account.usage, account.text = answer["usage"], answer["text"]
    check_sudoku(bodies.puzzle(account.arrival).givens, account.text)


def check_sudoku(givens: Sequence[int], text: str) -> None:
    """Raise :class:`Failure` unless ``text`` is a solution of ``givens``, in which 0 marks a hole."""
    if len(text) != len(givens) or not text.isascii() or not text.isdigit():
        raise Failure("invalid_sudoku", "not 81 digits")
    digits = [int(digit) for digit in text]
    if any(given not in (0, digit) for given, digit in zip(givens, digits, strict=True)):
        raise Failure("invalid_sudoku", "a given was changed")
    if not is_solved(digits):
        raise Failure("invalid_sudoku", "a row, a column or a box does not hold each digit once")
