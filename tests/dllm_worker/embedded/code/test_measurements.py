from __future__ import annotations

import json
import random

from dllm_worker.embedded.code import tokenizer
from dllm_worker.embedded.code.card import CARD_FILE, EVALUATION_FILE, table
from dllm_worker.embedded.code.export import CHECKPOINT
from dllm_worker.embedded.code.filling import emptied, line_case, short_case
from dllm_worker.embedded.code.functions import find_functions
from dllm_worker.embedded.code.writing import is_written

WORDS = tokenizer.load(CHECKPOINT)
[FUNCTION] = find_functions('def f(x):\n    """Do it."""\n    if x:\n        x += 1\n    return x\n')


def test_a_hole_of_lines_is_whole_lines() -> None:
    case = line_case(FUNCTION, WORDS, (1, 1), random.Random(0))
    assert case is not None
    assert WORDS.decode(case.tokens) == FUNCTION.source
    assert WORDS.decode(case.hole) in {"if x:", "x += 1", "return x"}
    assert case.template.count(None) == len(case.hole)


def test_a_function_may_be_too_short_for_a_hole() -> None:
    assert line_case(FUNCTION, WORDS, (4, 4), random.Random(0)) is None


def test_a_short_hole_has_up_to_three_tokens() -> None:
    for seed in range(20):
        case = short_case(FUNCTION, WORDS, random.Random(seed))
        assert case is not None
        assert 1 <= len(case.hole) <= 3
        assert "\n" not in WORDS.decode(case.hole)


def test_an_empty_hole_parses_or_not() -> None:
    cases = [line_case(FUNCTION, WORDS, (1, 1), random.Random(seed)) for seed in range(20)]
    assert 0 < emptied(WORDS, [case for case in cases if case]) < 1


def test_a_body_counts_up_to_its_last_whole_line() -> None:
    assert is_written(FUNCTION.head, "    return x\n    if (")
    assert not is_written(FUNCTION.head, "    return x")
    assert not is_written(FUNCTION.head, "    if (\n    x\n")


def test_the_card_shows_the_measurements() -> None:
    report = json.loads((CHECKPOINT / EVALUATION_FILE).read_text())
    assert table(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    card = (CHECKPOINT / CARD_FILE).read_text()
    assert all(f"| {value} |" in card for value in report["likelihood"]["bits_per_byte"].values())
