"""``dllm limits``."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.reach import AdminUrl, AsJson, admin_client, as_json
from cluster.cli.table import table
from cluster.client.admin_answers import Verdict

app = typer.Typer(no_args_is_help=True, help="What is left of a tenant's limits.")

HEADER = ("limit", "of", "left", "whole again in s")

TenantName = Annotated[str, typer.Argument(help="Whose limits.")]


@app.command()
def show(context: typer.Context, tenant: TenantName, admin_url: AdminUrl = None, json: AsJson = False) -> None:
    """Show what is left of each limit."""
    with admin_client(context, admin_url) as admin:
        levels = admin.limits(tenant)
    if json:
        typer.echo(as_json(levels))
        return
    rows = [(name, level.limit, level.remaining, level.reset_seconds) for name, level in levels.limits.items()]
    typer.echo(table(HEADER, rows) if rows else f"{tenant} has no limits.")
    if levels.mode != "shared":
        typer.echo(f"The state does not answer: the gateway counts by itself (mode {levels.mode}).", err=True)


@app.command("test")
def foresee(
    context: typer.Context,
    tenant: TenantName,
    requests: Annotated[int, typer.Option(min=0)] = 1,
    tokens: Annotated[int, typer.Option(min=0, help="Of the prompt, and of the answer at most.")] = 0,
    work: Annotated[int, typer.Option(min=0, help="Work units, at most.")] = 0,
    admin_url: AdminUrl = None,
    json: AsJson = False,
) -> None:
    """Say what a request with this charge would meet now; nothing is charged."""
    with admin_client(context, admin_url) as admin:
        verdict = admin.test_limits(tenant, requests=requests, tokens=tokens, work=work)
    typer.echo(as_json(verdict) if json else _told(verdict))


def _told(verdict: Verdict) -> str:
    if verdict.admitted:
        return "It would be admitted."
    wait = "no wait would help" if verdict.retry_after is None else f"retry in {verdict.retry_after:.1f} s"
    return f"It would be refused: {verdict.code} by {verdict.limit}, {wait}."
