"""The requests of a trace file in the order in which they came."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from loadtest.scenario.scenario import TraceFormat
from loadtest.traces.azure import azure_rows
from loadtest.traces.burstgpt import burstgpt_rows
from loadtest.traces.row import TraceError, TraceRow

READERS: Mapping[TraceFormat, Callable[[Path], Iterator[TraceRow]]] = MappingProxyType(
    {"azure": azure_rows, "burstgpt": burstgpt_rows}
)


def trace_rows(path: Path, form: TraceFormat) -> list[TraceRow]:
    """All requests of ``path``. Raises :class:`TraceError` for a line that is none, and for a file without any."""
    rows = sorted(READERS[form](path), key=lambda row: row.at)
    if not rows:
        raise TraceError(f"{path}: no requests")
    start = rows[0].at
    return [TraceRow(row.at - start, row.prompt_tokens, row.answer_tokens) for row in rows]
