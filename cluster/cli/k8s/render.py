"""``dllm k8s render``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from cluster.cli.k8s.reach import Context, reached
from cluster.cli.output import fail, read_config
from cluster.kubernetes.client import Selection
from cluster.kubernetes.node_pools import node_of, node_pools
from cluster.kubernetes.render import RenderError
from cluster.kubernetes.render import render as rendered
from cluster.kubernetes.resources import NODES
from deployments.document import ConfigError


def render(
    config: Annotated[Path, typer.Argument(help="A cluster's YAML file.")],
    context: Context = None,
) -> None:
    """Print values for the chart, with worker groups that fit the cluster's GPU nodes."""
    configuration = read_config(config)
    with reached(context, None) as connection:
        nodes = connection.kubernetes.list(Selection(NODES)).items
    try:
        found = rendered(configuration, node_pools(map(node_of, nodes)))
    except (RenderError, ConfigError) as error:
        fail(str(error))
    for note in found.notes:
        typer.echo(f"dllm: {note}", err=True)
    typer.echo(yaml.safe_dump(found.values, sort_keys=False, allow_unicode=True), nl=False)
