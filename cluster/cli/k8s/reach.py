"""How the commands reach a release on Kubernetes, and how they end when they cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated

import typer

from cluster.cli.output import fail
from cluster.kubernetes.connection import Connection, NoCluster, connect
from cluster.kubernetes.errors import KubernetesError
from cluster.kubernetes.ray_service import MalformedService
from cluster.kubernetes.services import NoService

Context = Annotated[str | None, typer.Option(help="A context of the kubeconfig; the current one by default.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="The context's, or the pod's, by default.")]
Release = Annotated[
    str | None,
    typer.Option(envvar="DLLM_RELEASE", help="The name that helm installed it by; needed if there are several."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def reached(context: str | None, namespace: str | None) -> Iterator[Connection]:
    """A connection; what fails over it ends the command with a line."""
    try:
        yield connect(context, namespace)
    except KubernetesError as error:
        hint = "; operator.subjects of the chart gives these rights" if error.status == HTTPStatus.FORBIDDEN else ""
        fail(f"{error}{hint}")
    except (NoCluster, NoService, MalformedService) as error:
        fail(str(error))
