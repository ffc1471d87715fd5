"""Rows for a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

GAP = "  "
NOTHING = "-"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The rows below the header in aligned columns, numbers to the right; ``None`` is shown as ``-``."""
    given = [tuple(row) for row in rows]
    cells = [[_shown(value) for value in row] for row in given]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    right = [any(isinstance(row[index], int | float) for row in given) for index in range(len(header))]
    lines = [
        GAP.join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        )
        for line in [list(header), *cells]
    ]
    return "\n".join(line.rstrip() for line in lines)


def moment(time: float | None) -> str | None:
    """A Unix time to the minute, in UTC."""
    return None if time is None else datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%MZ")


def names(values: Sequence[str] | None) -> str:
    """A list of names, of which ``None`` is all there are."""
    return "all" if values is None else ", ".join(values) or "none"


def _shown(value: object) -> str:
    match value:
        case None | "":
            return NOTHING
        case float():
            return f"{value:,.3f}".rstrip("0").rstrip(".")
        case int():
            return f"{value:,}"
    return str(value)
