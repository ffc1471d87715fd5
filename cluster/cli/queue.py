"""``dllm queue``."""

from __future__ import annotations

import typer

from cluster.cli.reach import AdminUrl, AsJson, admin_client, as_json
from cluster.cli.table import table

BANDS = ("interactive", "default", "flex")
HEADER = ("queue", *BANDS, "running", "jain", "max lag")


def queue(context: typer.Context, admin_url: AdminUrl = None, json: AsJson = False) -> None:
    """Show who waits for each model, and how fairly its tenants are served."""
    with admin_client(context, admin_url) as admin:
        queues = admin.queues().data
    if json:
        typer.echo(as_json(queues))
        return
    waiting = [
        (each.name, *(each.waiting.get(band, 0) for band in BANDS), each.running, each.jain, each.max_lag)
        for each in queues
    ]
    typer.echo(table(HEADER, waiting))
    counters = [(each.name, tenant, work) for each in queues for tenant, work in sorted(each.counters.items())]
    if counters:
        typer.echo("\n" + table(("queue", "tenant", "work per weight"), counters))
