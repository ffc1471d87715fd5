"""The rows of a CSV file with a header, each with its line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from loadtest.traces.row import TraceError

Cells = Mapping[str, str]


def table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Cells]]:
    """The number of each line, from 1, and its cells by column. Raises :class:`TraceError` when a column is missing, or
    a line does not have a cell for each.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            missing = [column for column in columns if column not in header]
            if missing:
                raise TraceError(f"{path}:1: no column {', '.join(missing)}")
            for cells in lines:
                if len(cells) != len(header):
                    raise TraceError(f"{path}:{lines.line_num}: {len(cells)} cells for {len(header)} columns")
                yield lines.line_num, dict(zip(header, cells, strict=True))
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: {error}") from error


def count_of(path: Path, line: int, cells: Cells, column: str, least: int) -> int:
    """The whole number in ``column``, which is at least ``least``."""
    text = cells[column]
    if not text.isdecimal() or int(text) < least:
        raise TraceError(f"{path}:{line}: {column} is {text!r}, not a whole number of at least {least}")
    return int(text)


def moment_of(path: Path, line: int, cells: Cells, column: str, parse: Callable[[str], float]) -> float:
    """The moment in ``column``, as ``parse`` reads it."""
    try:
        return parse(cells[column])
    except ValueError:
        raise TraceError(f"{path}:{line}: {column} is {cells[column]!r}, not a time") from None
