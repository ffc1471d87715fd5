"""``dllm smoke``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.durations import duration
from cluster.cli.output import fail
from cluster.cli.reach import AdminUrl, BaseUrl, admin_client, running_cluster

TENANT = "smoke"


def smoke(
    context: typer.Context,
    base_url: BaseUrl = None,
    grpc_address: Annotated[
        str | None, typer.Option("--grpc", help="As 127.0.0.1:9000; without it, gRPC is not asked.")
    ] = None,
    admin_url: AdminUrl = None,
    admin_key_file: Annotated[
        Path | None, typer.Option(help="A file with the admin key, as a mounted secret; else it is in the environment.")
    ] = None,
    tenant: Annotated[
        str, typer.Option(help="Whose key is made; one that is not there is made, and removed.")
    ] = TENANT,
    model: Annotated[str | None, typer.Option(help="The first one that the key may use, if none is named.")] = None,
    wait: Annotated[
        float, typer.Option(parser=duration, metavar="TIME", help="How long a cluster may take to get ready, as 2m.")
    ] = "1m",  # type: ignore[assignment]  # the default is parsed as what is typed
) -> None:
    """Have one answer from a cluster over each way in, by a key that is made for it."""
    # Clients of gRPC take a while to import, which the other commands do not need.
    from cluster.smoke import Doors, SmokeError
    from cluster.smoke import smoke as try_out

    if base_url is None:
        running = running_cluster()
        base_url, grpc_address = running.base_url, grpc_address or running.grpc_address
    with admin_client(context, admin_url, admin_key_file) as admin:
        try:
            try_out(Doors(base_url, grpc_address), admin, tenant, model, wait, typer.echo)
        except SmokeError as error:
            fail(str(error))
