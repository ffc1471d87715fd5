"""``dllm status``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cluster.cli.output import fail
from cluster.runtime import RuntimeDirectory
from cluster.status import inquire, render


def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show the running cluster; exit with 1 when there is none."""
    running = RuntimeDirectory.of_user().read()
    if running is None:
        fail("no cluster is running")
    found = inquire(running)
    typer.echo(json.dumps(asdict(found)) if as_json else render(found))
