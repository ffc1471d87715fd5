from __future__ import annotations

from dataclasses import dataclass

from dllm_worker.bench.parts import markdown, plain


@dataclass(frozen=True, slots=True)
class Figure:
    some_name: str
    share: float | None


TABLES = {"first": [Figure("a", 0.123), Figure("b", None)]}


def test_tables_are_markdown() -> None:
    assert markdown(TABLES) == "first\n\n| some name | share |\n| --- | --- |\n| a | 0.12 |\n| b |  |"


def test_json_keeps_every_digit() -> None:
    assert plain(TABLES) == {"first": [{"some_name": "a", "share": 0.123}, {"some_name": "b", "share": None}]}
