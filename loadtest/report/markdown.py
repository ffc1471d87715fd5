"""A report as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.report.report import Report
from loadtest.report.tables import Table, tables


def markdown(report: Report) -> str:
    """The tables under their titles."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# Load test {report.scenario.name}: {'passed' if report.passed else 'failed'}"
    for table in tables(report):
        yield from ("", f"## {table.title}", "", *_table(table))


def _table(table: Table) -> Iterator[str]:
    yield _row(table.header)
    yield "|" + "---|" * len(table.header)
    yield from map(_row, table.rows)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
