"""``dllm autoscale``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cluster.cli.output import fail
from cluster.cli.reach import AdminUrl, AsJson, admin_client, as_json
from cluster.cli.replay import replay
from cluster.cli.table import moment, table
from cluster.client.autoscaling_answers import PoolExplanation

app = typer.Typer(no_args_is_help=True, help="Why the pools have the sizes that they have.")
app.command()(replay)

FIGURES = ("replicas", "target", "least", "most", "reporting", "running", "waiting")
SIGNALS = ("load", "wait_seconds", "burn")
HEADER = ("pool", "policy", *FIGURES, "load", "wait, s", "burn")


@app.command()
def explain(
    context: typer.Context,
    pool: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    admin_url: AdminUrl = None,
    json: AsJson = False,
) -> None:
    """Show the size of each pool that is scaled, the last decision, those that changed it, and why."""
    with admin_client(context, admin_url) as admin:
        answer = admin.autoscaling(pool)
    if json:
        typer.echo(as_json(answer.data))
        return
    if not answer.data:
        fail("no pool is scaled" if pool is None else f"no pool {pool} is scaled")
    typer.echo(table(HEADER, map(_row, answer.data)))
    for each in answer.data:
        _tell(each)


@app.command()
def trace(context: typer.Context, admin_url: AdminUrl = None) -> None:
    """Write what was decided, and from what, as lines of JSON, which `dllm autoscale replay` takes."""
    with admin_client(context, admin_url) as admin:
        for piece in admin.autoscaling_trace():
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _row(pool: PoolExplanation) -> tuple[object, ...]:
    if pool.state is None:
        return (pool.name, pool.policy, *(None for _ in HEADER[2:]))
    state = pool.state
    signals = (state.signals.get(name) for name in SIGNALS)
    shown = (None if each is None else f"{each:.2f}" for each in signals)
    return pool.name, pool.policy, *(getattr(state, name) for name in FIGURES), *shown


def _tell(pool: PoolExplanation) -> None:
    last = () if pool.last is None or pool.last in pool.changes else (pool.last,)
    for decision in (*last, *pool.changes):
        typer.echo(f"\n{pool.name}  {moment(decision.at)}\n  {decision.text}")
