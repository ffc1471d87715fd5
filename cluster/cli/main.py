"""The command ``dllm``."""

from __future__ import annotations

import typer

from cluster.cli import config, down, generate, status, up

app = typer.Typer(name="dllm", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(up.up)
app.command()(status.status)
app.command()(down.down)
app.command()(generate.generate)
app.command()(generate.infill)
app.add_typer(config.app, name="config")


@app.callback()
def main() -> None:
    """Serve diffusion language models."""
