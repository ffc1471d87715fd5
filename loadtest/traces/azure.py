"""The Azure LLM inference traces of 2023 and 2024 (github.com/Azure/AzurePublicDataset).

Columns ``TIMESTAMP,ContextTokens,GeneratedTokens``; times as ``2023-11-16 18:15:46.6805900``, those of 2024 with an
offset from UTC behind them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from loadtest.traces.row import TraceRow
from loadtest.traces.table import count_of, moment_of, table

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)?(\+00:00)?")


def azure_rows(path: Path) -> Iterator[TraceRow]:
    """The requests in order of the file, with times from its first line. Raises :class:`TraceError`."""
    first: float | None = None
    for line, cells in table(path, COLUMNS):
        at = moment_of(path, line, cells, "TIMESTAMP", _seconds)
        first = at if first is None else first
        prompt = count_of(path, line, cells, "ContextTokens", 1)
        yield TraceRow(at - first, prompt, count_of(path, line, cells, "GeneratedTokens", 1))


def _seconds(text: str) -> float:
    """Unix seconds. The fraction has seven digits, of which :mod:`datetime` would read six."""
    match = TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    whole = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return whole.timestamp() + float(match[2] or 0)
