from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest

from loadtest.exchanges import bodies
from loadtest.exchanges.account import Failure
from loadtest.exchanges.wholes import check_sudoku
from tests.loadtest.cases import ARRIVAL
from tests.loadtest.exchanges.doubles import USAGE, ask

UNARY, INFILL = replace(ARRIVAL, kind="unary"), replace(ARRIVAL, kind="infill")


def test_an_answer_in_one_piece_has_no_first_commit() -> None:
    whole = {"choices": [{"text": "f", "finish_reason": "length"}], "usage": USAGE}
    sample = ask(UNARY, {"POST /v1/completions": lambda _: httpx.Response(200, json=whole)})
    assert (sample.outcome, sample.first_commit, sample.completion_tokens) == ("ok", None, 4)


def test_a_puzzle_is_asked_for_and_its_solution_is_right() -> None:
    puzzle = bodies.puzzle(INFILL)

    def answer(request: httpx.Request) -> httpx.Response:
        template = json.loads(request.content)["template"]
        assert [0 if cell == "." else int(cell) for cell in template] == list(puzzle.givens)
        return httpx.Response(200, json={"text": "".join(map(str, puzzle.solution)), "usage": USAGE})

    assert ask(INFILL, {"POST /v1/infill": answer}).outcome == "ok"


def test_every_puzzle_that_can_be_asked_for_has_as_many_givens() -> None:
    bodies.prepare()
    assert {bodies.puzzle(replace(INFILL, seed=seed)).given_count for seed in range(bodies.PUZZLES)} == {bodies.GIVENS}


@pytest.mark.parametrize("break_it", [0, 1, 2])
def test_a_wrong_sudoku_is_found(break_it: int) -> None:
    puzzle = bodies.puzzle(INFILL)
    right = "".join(map(str, puzzle.solution))
    check_sudoku(puzzle.givens, right)
    given = next(place for place, digit in enumerate(puzzle.givens) if digit)
    hole = next(place for place, digit in enumerate(puzzle.givens) if not digit)
    other = str(puzzle.solution[hole] % 9 + 1)
    swapped = right.translate(str.maketrans("12", "21"))
    wrong = [right[:-1], right[:hole] + other + right[hole + 1 :], swapped][break_it]
    with pytest.raises(Failure, match="invalid_sudoku"):
        check_sudoku(puzzle.givens, wrong)
    assert given != hole


def test_prompts_differ_and_have_about_the_length_that_was_drawn() -> None:
    texts = [bodies.prompt(replace(ARRIVAL, seed=seed, prompt_tokens=60)) for seed in range(20)]
    assert len(set(texts)) == 20
    assert {text.count("\n") for text in texts} == {10}
