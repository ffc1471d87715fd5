"""The BurstGPT traces (github.com/HPMLL/BurstGPT).

Columns ``Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type``, of which the later files have more;
times in seconds from the beginning of the record. A request that failed there has no response tokens, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from pathlib import Path

from loadtest.traces.row import TraceRow
from loadtest.traces.table import count_of, moment_of, table

COLUMNS = ("Timestamp", "Model", "Request tokens", "Response tokens", "Total tokens", "Log Type")


def burstgpt_rows(path: Path) -> Iterator[TraceRow]:
    """The answered requests in order of the file, with times from its first line. Raises :class:`TraceError`."""
    first: float | None = None
    for line, cells in table(path, COLUMNS):
        at = moment_of(path, line, cells, "Timestamp", _seconds)
        first = at if first is None else first
        prompt = count_of(path, line, cells, "Request tokens", 0)
        answer = count_of(path, line, cells, "Response tokens", 0)
        if answer:
            yield TraceRow(at - first, max(1, prompt), answer)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not isfinite(seconds) or seconds < 0:
        raise ValueError(text)
    return seconds
