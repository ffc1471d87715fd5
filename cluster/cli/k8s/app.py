"""``dllm k8s``."""

from __future__ import annotations

import typer

from cluster.cli.k8s import apply, capacity, drain, render, status, wait

app = typer.Typer(no_args_is_help=True, help="Look after a release on Kubernetes.")
app.command()(render.render)
app.command()(apply.apply)
app.command()(status.status)
app.command()(wait.wait)
app.command()(drain.drain)
app.command()(capacity.capacity)
