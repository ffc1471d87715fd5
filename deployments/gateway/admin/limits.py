"""What is left of a tenant's limits."""

from __future__ import annotations

from fastapi import APIRouter

from deployments.gateway.admin.context import Administration
from deployments.gateway.admin.shapes import ChargeBody, Json, levels_json
from deployments.gateway.admin.verdicts import verdict

ONE_REQUEST = ChargeBody()


def routes(administration: Administration) -> APIRouter:
    """The levels, and what a request would meet."""
    router = APIRouter(prefix="/tenants/{name}/limits", tags=["limits"])
    limiter = administration.shared.limiter

    @router.get("")
    async def levels(name: str) -> Json:
        """What is left of each limit that is set."""
        tenant = await administration.tenant(name)
        return levels_json(name, await limiter.levels(name, tenant.limits))

    @router.post("/test")
    async def test(name: str, body: ChargeBody = ONE_REQUEST) -> Json:
        """What a request with this charge would meet now. Nothing is charged."""
        tenant = await administration.tenant(name)
        return verdict(await limiter.levels(name, tenant.limits), body)

    return router
