"""``dllm up``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.output import fail, read_config
from cluster.daemon import DaemonError, report_ready, start_daemon
from cluster.greeting import connection, greeting
from cluster.hosting import ray_hosting
from cluster.local import run
from cluster.runtime import RunningCluster, RuntimeDirectory


def up(
    config: Annotated[Path | None, typer.Option(help="A YAML file; the default serves the embedded models.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when the cluster is ready.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print base_url and api_key as one JSON object.")] = False,
    ready_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start Ray, the state server and the models of a configuration, and serve until Ctrl-C."""
    configuration = read_config(config)
    runtime = RuntimeDirectory.of_user()
    show = connection if as_json else lambda running: greeting(configuration, running)
    try:
        if detach:
            typer.echo(show(start_daemon(runtime, _arguments(config))))
        else:
            run(configuration, runtime, ray_hosting, _announce(show, ready_fd))
    except DaemonError as error:
        fail(f"the cluster did not start; the end of {runtime.log}:\n{error}")
    except RuntimeError as error:
        fail(str(error))


def _arguments(config: Path | None) -> list[str]:
    return ["up", *(["--config", str(config)] if config else [])]


def _announce(show: Callable[[RunningCluster], str], ready_fd: int | None) -> Callable[[RunningCluster], None]:
    def announce(running: RunningCluster) -> None:
        if ready_fd is None:
            typer.echo(show(running))
        else:
            # The output is a log here, where a key does not belong; who started this shows it.
            report_ready(ready_fd)

    return announce
