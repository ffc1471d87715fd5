"""``dllm config``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.output import fail, read_config
from deployments.config import EMBEDDED
from deployments.state.acl import acl_rule
from deployments.state.address import StateAddress

app = typer.Typer(no_args_is_help=True, help="Look at configuration files.")


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A cluster's YAML file.")]) -> None:
    """Say whether a configuration file is valid; refuse it with the path of each bad key."""
    read_config(file)
    typer.echo(f"{file} is valid.")


@app.command()
def acl(file: Annotated[Path, typer.Argument(help="A cluster's YAML file.")]) -> None:
    """Print the access rule of the state server's user: the commands and keys that the cluster uses, and no others."""
    url = read_config(file).state.url
    if url == EMBEDDED:
        fail("the embedded state server serves this cluster alone and has no users")
    try:
        typer.echo(f"ACL SETUSER {acl_rule(StateAddress.parse(url))}")
    except ValueError as error:
        fail(f"state.url: {error}")


@app.callback()
def main() -> None:
    """Look at configuration files."""
