"""``dllm usage``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from cluster.cli.reach import AdminUrl, AsJson, admin_client, as_json
from cluster.cli.table import table
from cluster.client.admin import AdminClient
from cluster.client.answers import UsageRow

COUNTS = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens", "position_forwards", "work")
HEADER = ("day", "tenant", "model", "requests", "prompt", "cached", "completion", "position-forwards", "work")

Form = Literal["table", "jsonl", "csv"]


def usage(
    context: typer.Context,
    tenant: Annotated[str | None, typer.Option(help="Whose usage; without it, that of all tenants.")] = None,
    start: Annotated[str | None, typer.Option(help="The first UTC day; the first of the month.")] = None,
    end: Annotated[str | None, typer.Option(help="The last UTC day; today.")] = None,
    form: Annotated[
        Form, typer.Option("--format", help="Sums by day and model, or the ledger's entries one by one.")
    ] = "table",
    admin_url: AdminUrl = None,
    json: AsJson = False,
) -> None:
    """Show what tenants have used."""
    with admin_client(context, admin_url) as admin:
        names = [tenant] if tenant else [each.name for each in admin.tenants()]
        if form != "table":
            for piece in _entries(admin, names, form, start, end):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        reports = [admin.usage(name, start, end) for name in names]
    if json:
        typer.echo(as_json(reports))
        return
    rows = [_row(report.tenant, row) for report in reports for row in report.data]
    sums = (sum(getattr(row, name) for report in reports for row in report.data) for name in COUNTS)
    typer.echo(table(HEADER, [*rows, ("total", "", "", *sums)]))


def _row(tenant: str, row: UsageRow) -> tuple[object, ...]:
    return row.day, tenant, row.model, *(getattr(row, name) for name in COUNTS)


def _entries(
    admin: AdminClient, tenants: list[str], form: Literal["jsonl", "csv"], start: str | None, end: str | None
) -> Iterator[bytes]:
    """The entries of all ``tenants`` as one file: CSV has one line of headings."""
    for index, tenant in enumerate(tenants):
        pieces = admin.entries(tenant, form, start, end)
        if form == "csv" and index:
            pieces = _without_heading(pieces)
        yield from pieces


def _without_heading(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The names of columns hold no line end, so the heading ends with the first one."""
    heading = b""
    for piece in pieces:
        heading += piece
        if b"\n" in heading:
            yield heading.partition(b"\n")[2]
            break
    yield from pieces
