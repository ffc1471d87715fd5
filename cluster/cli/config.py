"""``dllm config``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.output import read_config

app = typer.Typer(no_args_is_help=True, help="Look at configuration files.")


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A cluster's YAML file.")]) -> None:
    """Say whether a configuration file is valid; refuse it with the path of each bad key."""
    read_config(file)
    typer.echo(f"{file} is valid.")


@app.callback()
def main() -> None:
    """Look at configuration files."""
