"""``dllm k8s wait``."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.durations import duration
from cluster.cli.k8s.reach import Context, Namespace, Release, reached
from cluster.cli.output import fail
from cluster.kubernetes.waiting import NotSettled
from cluster.kubernetes.waiting import wait as waiting


def wait(
    timeout: Annotated[float, typer.Option(parser=duration, metavar="TIME", help="As 90s or 20m.")] = "20m",  # type: ignore[assignment]
    context: Context = None,
    namespace: Namespace = None,
    release: Release = None,
) -> None:
    """Wait until a release runs what was asked of it last; exit with 1 if the time is up before."""
    with reached(context, namespace) as connection:
        try:
            for told in waiting(connection.kubernetes, connection.namespace, release, timeout):
                typer.echo(told)
        except NotSettled as error:
            fail(str(error))
