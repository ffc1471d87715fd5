"""``dllm keys``."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.durations import duration
from cluster.cli.reach import AdminUrl, AsJson, admin_client, as_json
from cluster.cli.table import moment, names, table
from cluster.client.admin_answers import Key, NewKey

app = typer.Typer(no_args_is_help=True, help="The keys of tenants.")

HEADER = ("id", "name", "scopes", "models", "created", "expires", "revoked", "last used", "declared")

TenantName = Annotated[str, typer.Argument(help="Whose keys.")]
KeyId = Annotated[str, typer.Argument(help="The public part of the key, as `dllm keys list` shows it.")]
Environment = Annotated[str, typer.Option(help="The part of the key that tells where it belongs.")]


@app.command()
def create(
    context: typer.Context,
    tenant: TenantName,
    name: Annotated[str, typer.Option(help="What it is called.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="generate, jobs or usage:read; may be repeated.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model that it opens; may be repeated.")] = None,
    expires_in: Annotated[float | None, typer.Option(parser=duration, metavar="TIME", help="As 30d.")] = None,
    environment: Environment = "live",
    admin_url: AdminUrl = None,
    json: AsJson = False,
) -> None:
    """Make a key, and print it: nobody is shown it again."""
    with admin_client(context, admin_url) as admin:
        made = admin.create_key(
            tenant, name=name, environment=environment, scopes=scope, models=model, expires_in_seconds=expires_in
        )
    _show_new(made, json)


@app.command("list")
def list_(context: typer.Context, tenant: TenantName, admin_url: AdminUrl = None, json: AsJson = False) -> None:
    """Show the keys of a tenant, without their secrets."""
    with admin_client(context, admin_url) as admin:
        keys = admin.keys(tenant)
    typer.echo(as_json(keys) if json else table(HEADER, map(_row, keys)))


@app.command()
def revoke(context: typer.Context, key_id: KeyId, admin_url: AdminUrl = None, json: AsJson = False) -> None:
    """End a key, for good and within a second."""
    with admin_client(context, admin_url) as admin:
        revoked = admin.revoke_key(key_id)
    typer.echo(as_json(revoked) if json else f"Key {revoked.id} of {revoked.tenant} is revoked.")


@app.command()
def rotate(
    context: typer.Context,
    key_id: KeyId,
    overlap: Annotated[
        float, typer.Option(parser=duration, metavar="TIME", help="How long the old key stays valid, as 12h.")
    ] = "24h",  # type: ignore[assignment]  # the default is parsed as what is typed
    environment: Environment = "live",
    admin_url: AdminUrl = None,
    json: AsJson = False,
) -> None:
    """Make a key in the place of another one, which ends after the overlap; print the new one."""
    with admin_client(context, admin_url) as admin:
        made = admin.rotate_key(key_id, overlap_seconds=overlap, environment=environment)
    _show_new(made, json)


def _show_new(made: NewKey, json: bool) -> None:
    """The key alone on standard output, so that it can be piped to where it is kept."""
    typer.echo(as_json(made) if json else made.key)
    if not json:
        replaced = f" Key {made.replaces.id} ends at {moment(made.replaces.expires_at)}." if made.replaces else ""
        typer.echo(f"This is key {made.id} of {made.tenant}; it is not shown again.{replaced}", err=True)


def _row(key: Key) -> tuple[object, ...]:
    times = (moment(time) for time in (key.created_at, key.expires_at, key.revoked_at, key.last_used_at))
    return key.id, key.name, names(key.scopes), names(key.models), *times, "yes" if key.declared else "no"
