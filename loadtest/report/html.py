"""A report as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from loadtest.report.charts import charts
from loadtest.report.report import Report
from loadtest.report.tables import Table, tables

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto; }
td, th { border: 1px solid #ccc; padding: .25rem .5rem; text-align: left; white-space: nowrap; }
svg { max-width: 100%; height: auto; }
.passed { color: #0a7a2f; } .failed { color: #b3261e; }
"""


def html(report: Report) -> str:
    """The charts between the gates and the figures."""
    return "\n".join(_parts(report)) + "\n"


def _parts(report: Report) -> Iterator[str]:
    name, end = escape(report.scenario.name), "passed" if report.passed else "failed"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Load test {name}</title>'
    yield f"<style>{STYLE}</style></head><body>"
    yield f'<h1>Load test {name}: <span class="{end}">{end}</span></h1>'
    gates, *others = tables(report)
    yield from _table(gates)
    for title, svg in charts(report):
        yield f"<h2>{escape(title)}</h2>{svg}"
    for table in others:
        yield from _table(table)
    yield "</body></html>"


def _table(table: Table) -> Iterator[str]:
    yield f"<h2>{escape(table.title)}</h2><table>"
    yield _row("th", table.header)
    yield from (_row("td", row) for row in table.rows)
    yield "</table>"


def _row(tag: str, cells: tuple[str, ...]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
