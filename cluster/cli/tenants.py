"""``dllm tenants``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from cluster.cli.output import fail
from cluster.cli.reach import AdminUrl, AsJson, admin_client, as_json
from cluster.cli.table import names, table
from cluster.client.admin import AdminClient
from cluster.client.admin_answers import Limits, Tenant
from cluster.client.errors import TenantNotFound

app = typer.Typer(no_args_is_help=True, help="Who shares the cluster, and what each may do.")

NO_VALUE = "none"
HEADER = ("tenant", "weight", "models", "bands", "quality floor", "limits", "declared")

Name = Annotated[str, typer.Argument(help="The tenant's name.")]


@app.command("list")
def list_(context: typer.Context, admin_url: AdminUrl = None, json: AsJson = False) -> None:
    """Show all tenants."""
    with admin_client(context, admin_url) as admin:
        _show(admin.tenants(), json)


@app.command()
def show(context: typer.Context, name: Name, admin_url: AdminUrl = None, json: AsJson = False) -> None:
    """Show one tenant."""
    with admin_client(context, admin_url) as admin:
        _show(admin.tenant(name), json)


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    weight: Annotated[float | None, typer.Option(help="Its share beside that of others.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model that it may use; may be repeated.")] = None,
    all_models: Annotated[bool, typer.Option("--all-models", help="It may use every model.")] = False,
    band: Annotated[list[str] | None, typer.Option(help="interactive, default or flex; may be repeated.")] = None,
    quality_floor: Annotated[str | None, typer.Option(help="The least effort; none sets no floor.")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="As work_per_minute=60000; none takes it away.")] = None,
    admin_url: AdminUrl = None,
    json: AsJson = False,
) -> None:
    """Create a tenant, or change what is given of it. Its keys and what is not given stay as they are."""
    given: dict[str, object] = {"weight": weight, "models": model, "bands": band}
    changes = {key: value for key, value in given.items() if value is not None}
    if all_models:
        changes["models"] = None
    if quality_floor is not None:
        changes["quality_floor"] = None if quality_floor == NO_VALUE else quality_floor
    numbers = _numbers(limit or [])
    with admin_client(context, admin_url) as admin:
        held = _held(admin, name)
        limits = {**held.limits.model_dump(), **numbers}
        _show(admin.put_tenant(Tenant.model_validate({**held.terms(), **changes, "limits": limits})), json)


@app.command()
def remove(context: typer.Context, name: Name, admin_url: AdminUrl = None) -> None:
    """Forget a tenant and all its keys. What it has used stays in the ledger."""
    with admin_client(context, admin_url) as admin:
        admin.remove_tenant(name)
    typer.echo(f"{name} is removed.")


def _held(admin: AdminClient, name: str) -> Tenant:
    try:
        return admin.tenant(name)
    except TenantNotFound:
        return Tenant(name=name)


def _numbers(settings: list[str]) -> dict[str, int | None]:
    """The limits that are set, and ``None`` for those that are taken away."""
    numbers: dict[str, int | None] = {}
    for setting in settings:
        limit, _, value = setting.partition("=")
        if limit not in Limits.model_fields:
            fail(f"{limit} is no limit; these are: {', '.join(Limits.model_fields)}")
        if value != NO_VALUE and not value.isdecimal():
            fail(f"{limit}: a number is expected, or {NO_VALUE}")
        numbers[limit] = None if value == NO_VALUE else int(value)
    return numbers


def _show(tenants: Sequence[Tenant] | Tenant, json: bool) -> None:
    rows = [tenants] if isinstance(tenants, Tenant) else tenants
    typer.echo(as_json(tenants) if json else table(HEADER, map(_row, rows)))


def _row(tenant: Tenant) -> tuple[object, ...]:
    limits = ", ".join(f"{name}={value}" for name, value in tenant.limits.model_dump().items() if value is not None)
    declared = "yes" if tenant.declared else "no"
    models, bands = names(tenant.models), names(tenant.bands)
    return tenant.name, tenant.weight, models, bands, tenant.quality_floor, limits, declared
