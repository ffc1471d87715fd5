"""Tenants: who they are, and what each may do."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request

from deployments.errors import InvalidRequest, TenantNotFound
from deployments.gateway.admin import audit
from deployments.gateway.admin.context import Administration
from deployments.gateway.admin.shapes import Json, listed, tenant_json
from deployments.tenancy.declared import TenantConfig


def routes(administration: Administration) -> APIRouter:
    """The list of tenants, and each."""
    router = APIRouter(prefix="/tenants", tags=["tenants"])
    directory = administration.shared.directory

    @router.get("")
    async def tenants() -> Json:
        """All tenants, by name."""
        return listed([tenant_json(tenant) for tenant in await directory.tenants()])

    @router.get("/{name}")
    async def tenant(name: str) -> Json:
        """One tenant."""
        return tenant_json(await administration.tenant(name))

    @router.put("/{name}")
    async def put(request: Request, name: str, body: TenantConfig) -> Json:
        """Create a tenant, or replace what holds for it; its keys stay. The change is in force within a second."""
        if body.name != name:
            raise InvalidRequest(f"name: The tenant of this path is {name!r}.", parameter="name")
        await administration.refuse_declared(name)
        tenant = replace(body.as_tenant(), declared=False)
        await directory.put_tenant(tenant)
        audit.record(request, "put_tenant", name)
        return tenant_json(tenant)

    @router.delete("/{name}")
    async def remove(request: Request, name: str) -> Json:
        """Forget a tenant and all its keys. Requests that run go on to their end."""
        await administration.refuse_declared(name)
        if not await directory.remove_tenant(name):
            raise TenantNotFound
        audit.record(request, "remove_tenant", name)
        return {"object": "tenant", "name": name, "deleted": True}

    return router
