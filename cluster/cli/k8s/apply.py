"""``dllm k8s apply``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from cluster.cli.k8s.reach import AsJson, Context, Namespace, Release, reached
from cluster.cli.output import fail, read_config
from cluster.kubernetes.apply import Change, apply_patch, change
from cluster.kubernetes.charted import charted, written
from cluster.kubernetes.errors import Changed
from cluster.kubernetes.ray_service import RayService, ray_service_of
from cluster.kubernetes.resources import RAY_SERVICES
from cluster.kubernetes.services import find_service, running_config
from deployments.config import ClusterConfig
from deployments.document import ConfigError


def apply(
    config: Annotated[Path, typer.Argument(help="A cluster's YAML file, or `config` of the chart's values.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference, and change nothing.")] = False,
    context: Context = None,
    namespace: Namespace = None,
    release: Release = None,
    as_json: AsJson = False,
) -> None:
    """Replace the configuration of a running release in place: no pod is replaced. What would need that is refused."""
    configuration = read_config(config)
    with reached(context, namespace) as connection:
        service = ray_service_of(find_service(connection.kubernetes, connection.namespace, release))
        found, left_out = _change(service, configuration)
        if found.difference and not found.refusals:
            operations = apply_patch(service, found.text)
            try:
                connection.kubernetes.patch(RAY_SERVICES, connection.namespace, service.name, operations, dry=dry_run)
            except Changed as error:
                fail(f"{service.name} was changed meanwhile, or does not take this: {error}")
    if as_json:
        typer.echo(json.dumps(_told(found, dry_run)))
    else:
        _tell(service, found, left_out, dry_run)
    if found.refusals:
        raise typer.Exit(1)


def _change(service: RayService, configuration: ClusterConfig) -> tuple[Change, tuple[str, ...]]:
    # It brings Ray Serve and the engine with it, which no other command of this group needs.
    from deployments.serve_config import serve_config

    try:
        tree, left_out = written(configuration)
        wanted = charted(tree, running_config(service))
        return change(service, wanted, serve_config(wanted)), left_out
    except (ConfigError, ValidationError) as error:
        fail(f"the configuration is refused\n{error}")


def _told(found: Change, dry_run: bool) -> dict[str, Any]:
    applied = bool(found.difference) and not found.refusals and not dry_run
    return {"applied": applied, "difference": found.difference, "refusals": list(found.refusals)}


def _tell(service: RayService, found: Change, left_out: tuple[str, ...], dry_run: bool) -> None:
    for key in left_out:
        typer.echo(f"dllm: {key}: left as it is, since the chart says it", err=True)
    if found.difference:
        typer.echo(found.difference)
    for refusal in found.refusals:
        typer.echo(f"dllm: {refusal}", err=True)
    if found.refusals:
        return
    if not found.difference:
        typer.echo(f"{service.name} runs this configuration.")
    elif dry_run:
        typer.echo("This would be applied in place; nothing was changed.")
    else:
        typer.echo(f"{service.name} has it; dllm k8s wait returns when it runs.")
