"""Rows of figures as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any


def table(rows: Sequence[Any]) -> str:
    """Data classes of one kind, a line each; field names are the heads."""
    plain = [asdict(row) for row in rows]
    heads = [name.replace("_", " ") for name in plain[0]]
    cells = [[_cell(value) for value in row.values()] for row in plain]
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *cells])


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "" if value is None else str(value)
