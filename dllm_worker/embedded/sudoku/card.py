"""The tables of the model card, made from the evaluation. The prose around them is written in the card itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

CARD_FILE = "README.md"
EVALUATION_FILE = "evaluation.json"

Row = Mapping[str, Any]
"""A :class:`~dllm_worker.embedded.sudoku.evaluate.Score` as it is stored."""

Tables = Mapping[str, Sequence[Row]]
"""The rows of the evaluation by the name of their table."""

_BUDGETED = ("random", "low_confidence")
_PLACE = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(card: str, tables: Tables) -> str:
    """``card`` with fresh tables between ``<!-- table name -->`` and ``<!-- end -->``."""
    return _PLACE.sub(lambda place: f"{place[1]}\n{_TABLES[place[2]](tables)}\n\n{place[3]}", card)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first two columns are names, the others figures."""
    marks = [":--", ":--", *["--:"] * (len(header) - 2)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, marks, *rows))


def compared(tables: Tables) -> str:
    """The same puzzles before and after training, at two step budgets."""
    cells = {(name, row["max_steps"]): row for name in ("untrained", "trained") for row in tables[name]}
    budgets = sorted({row["max_steps"] for row in tables["trained"]}, reverse=True)
    rows = [
        (name, str(tables[name][0]["givens"]), *(_percent(cells[name, budget]) for budget in budgets))
        for name in ("untrained", "trained")
    ]
    return markdown(("weights", "givens", *(f"{budget} steps" for budget in budgets)), rows)


def solved(tables: Tables) -> str:
    """Solved share by givens, algorithm and step budget."""
    return _by_budget(tables["settings"], _percent)


def steps(tables: Tables) -> str:
    """Mean steps and tokens per forward of the algorithms that may end before their budget."""
    adaptive = [row for row in tables["settings"] if row["algorithm"] not in _BUDGETED]
    return _by_budget(adaptive, lambda row: f"{row['mean_steps']:.1f} / {row['tokens_per_forward']:.1f}")


def tuning(tables: Tables) -> str:
    """What each threshold, bound and exit does to quality and steps."""
    rows = tables["tuning"]
    givens = list(dict.fromkeys(row["givens"] for row in rows))
    header = ["algorithm", "setting", *(f"{count} givens: {what}" for count in givens for what in ("solved", "steps"))]
    return markdown(header, (_tuned_line(group) for group in _grouped(rows, _setting)))


def _tuned_line(group: Sequence[Row]) -> list[str]:
    figures = [figure for row in group for figure in (_percent(row), f"{row['mean_steps']:.1f}")]
    return [group[0]["algorithm"], _setting(group[0]), *figures]


def _setting(row: Row) -> str:
    """What distinguishes a row of the tuning table from its neighbours."""
    value = "entropy_bound" if row["algorithm"] == "entropy_bound" else "threshold"
    leaving = "" if row["entropy_exit"] is None else f", entropy_exit {row['entropy_exit']}"
    return f"{value} {row[value]}{leaving}"


def _by_budget(rows: Sequence[Row], figure: Callable[[Row], str]) -> str:
    """One line for each number of givens and algorithm, one column for each step budget."""
    budgets = list(dict.fromkeys(row["max_steps"] for row in rows))
    lines = _grouped(rows, lambda row: (row["givens"], row["algorithm"]))
    header = ["givens", "algorithm", *("n" if budget is None else str(budget) for budget in budgets)]
    return markdown(header, ([str(line[0]["givens"]), line[0]["algorithm"], *map(figure, line)] for line in lines))


def _grouped(rows: Sequence[Row], key: Callable[[Row], object]) -> list[list[Row]]:
    """Rows of equal key together, keys in the order of their first row."""
    groups: dict[object, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())


def _percent(row: Row) -> str:
    return f"{100 * row['solved']:.1f} %"


_TABLES: Mapping[str, Callable[[Tables], str]] = {
    "compared": compared,
    "solved": solved,
    "steps": steps,
    "tuning": tuning,
}
