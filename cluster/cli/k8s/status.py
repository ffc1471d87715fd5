"""``dllm k8s status``."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from cluster.cli.k8s.reach import AsJson, Context, Namespace, Release, reached
from cluster.cli.table import table
from cluster.kubernetes.pending import Reason
from cluster.kubernetes.status import ReleaseStatus, inquire

GROUP_HEADER = ("group", "ready", "pods", "desired", "min", "max")
PART_HEADER = ("application", "deployment", "status")


def status(
    context: Context = None, namespace: Namespace = None, release: Release = None, as_json: AsJson = False
) -> None:
    """Show whether a release serves, its pods by group, and why any of them is not ready; exit with 1 if it does not
    serve.
    """
    with reached(context, namespace) as connection:
        found = inquire(connection.kubernetes, connection.namespace, release)
    typer.echo(json.dumps(asdict(found)) if as_json else _text(found))
    if not found.serves:
        raise typer.Exit(1)


def _text(found: ReleaseStatus) -> str:
    groups = [(each.name, each.ready, each.pods, each.desired, each.least, each.most) for each in found.groups]
    parts = [
        (application.name, each.name, each.status)
        for application in found.applications
        for each in application.deployments
    ]
    pieces = [f"{found.namespace}/{found.name}: {found.summary}.", table(GROUP_HEADER, groups)]
    if parts:
        pieces.append(table(PART_HEADER, parts))
    pieces += [_explained(each.name, each.group, each.reasons) for each in found.explanations]
    return "\n\n".join(pieces)


def _explained(name: str, group: str, reasons: tuple[Reason, ...]) -> str:
    lines = [f"{name}{f' ({group})' if group else ''} is not ready:"]
    lines += [f"  {reason.text}\n    {reason.advice}" for reason in reasons]
    return "\n".join(lines)
