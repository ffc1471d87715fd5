"""``dllm k8s drain``."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.durations import duration
from cluster.cli.k8s.reach import Context, Namespace, Release, reached
from cluster.cli.output import fail
from cluster.kubernetes.draining import NotDrained, cordon
from cluster.kubernetes.draining import drain as draining
from cluster.kubernetes.services import find_service, release_of


def drain(
    node: Annotated[str, typer.Argument(help="A node of the cluster.")],
    timeout: Annotated[float, typer.Option(parser=duration, metavar="TIME", help="As 90s or 30m.")] = "30m",  # type: ignore[assignment]
    context: Context = None,
    namespace: Namespace = None,
    release: Release = None,
) -> None:
    """Cordon a node and move the release's pods away from it, one at a time and within their disruption budgets. Exit
    with 1 if the time is up before. The node stays cordoned.
    """
    with reached(context, namespace) as connection:
        kubernetes = connection.kubernetes
        named = release_of(find_service(kubernetes, connection.namespace, release))
        typer.echo(f"{node} is cordoned{'' if cordon(kubernetes, node) else ' already'}")
        try:
            for told in draining(kubernetes, connection.namespace, named, node, timeout):
                typer.echo(told)
        except NotDrained as error:
            fail(str(error))
