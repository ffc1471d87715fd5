"""The command ``dllm``."""

from __future__ import annotations

import typer

from cluster.cli import autoscale, chat, config, down, generate, keys, limits, queue, smoke, status, tenants, up, usage
from cluster.cli.k8s import app as k8s

app = typer.Typer(name="dllm", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(up.up)
app.command()(status.status)
app.command()(down.down)
app.command()(generate.generate)
app.command()(generate.infill)
app.command()(chat.chat)
app.command()(usage.usage)
app.command()(queue.queue)
app.command()(smoke.smoke)
app.add_typer(tenants.app, name="tenants")
app.add_typer(keys.app, name="keys")
app.add_typer(limits.app, name="limits")
app.add_typer(autoscale.app, name="autoscale")
app.add_typer(config.app, name="config")
app.add_typer(k8s.app, name="k8s")


@app.callback()
def main() -> None:
    """Serve diffusion language models."""
