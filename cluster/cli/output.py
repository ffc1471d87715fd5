"""How commands end when they cannot do what they were asked."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import typer

from deployments.config import ClusterConfig, load_config
from deployments.document import ConfigError


def fail(message: str) -> NoReturn:
    """Say why on the error stream, and exit with 1."""
    typer.echo(f"dllm: {message}", err=True)
    raise typer.Exit(1)


def read_config(path: Path | None) -> ClusterConfig:
    """The configuration, or the end of the command."""
    try:
        return load_config(path)
    except ConfigError as error:
        fail(f"the configuration is refused\n{error}")
