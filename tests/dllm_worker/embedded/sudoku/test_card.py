from __future__ import annotations

from typing import Any

from dllm_worker.embedded.sudoku.card import with_tables


def row(algorithm: str = "random", max_steps: int | None = 12, solved: float = 0.5, **others: Any) -> dict[str, Any]:
    return {
        "givens": 30,
        "algorithm": algorithm,
        "max_steps": max_steps,
        "threshold": 0.9,
        "entropy_bound": 0.1,
        "entropy_exit": None,
        "solved": solved,
        "mean_steps": 6.25,
        "tokens_per_forward": 8.0,
        **others,
    }


def placed(name: str, **tables: list[dict[str, Any]]) -> list[str]:
    text = with_tables(f"before\n<!-- table {name} -->\nold\n<!-- end -->\nafter\n", tables)
    assert with_tables(text, tables) == text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    return [line for line in text.splitlines() if line.startswith("|")]


def test_budgets_become_columns() -> None:
    lines = placed("solved", settings=[row(), row(max_steps=None, solved=0.975), row("low_confidence")])
    assert lines == [
        "| givens | algorithm | 12 | n |",
        "| :-- | :-- | --: | --: |",
        "| 30 | random | 50.0 % | 97.5 % |",
        "| 30 | low_confidence | 50.0 % |",
    ]


def test_only_adaptive_algorithms_have_steps_to_tell() -> None:
    lines = placed("steps", settings=[row(), row("entropy_bound")])
    assert lines[2:] == ["| 30 | entropy_bound | 6.2 / 8.0 |"]


def test_training_is_compared_at_two_budgets() -> None:
    untrained = [row(max_steps=32, solved=0.0), row(solved=0.0)]
    lines = placed("compared", untrained=untrained, trained=[row(max_steps=32, solved=1.0), row(solved=0.99)])
    assert lines[2:] == ["| untrained | 30 | 0.0 % | 0.0 % |", "| trained | 30 | 100.0 % | 99.0 % |"]


def test_tuned_settings_are_named_by_what_they_change() -> None:
    rows = [
        row("confidence_threshold", entropy_exit=value, givens=givens) for givens in (30, 26) for value in (None, 0.01)
    ]
    lines = placed("tuning", tuning=[*rows, row("entropy_bound"), row("entropy_bound", givens=26)])
    assert [line.split(" | ")[1] for line in lines[2:]] == [
        "threshold 0.9",
        "threshold 0.9, entropy_exit 0.01",
        "entropy_bound 0.1",
    ]
