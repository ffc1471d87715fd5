"""Whether the gateway lives, whether it can serve, and what it is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from deployments.errors import NoReplica
from deployments.gateway.context import Gateway
from deployments.gateway.readiness import ready_models


def routes(gateway: Gateway) -> APIRouter:
    """Health and version, open to everyone."""
    router = APIRouter(tags=["health"])

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "live"}

    @router.get("/health/ready")
    @router.get("/health", include_in_schema=False)
    async def ready() -> dict[str, Any]:
        """At least one model has a replica that answers; `models` says which."""
        models = await ready_models(gateway)
        if not any(models.values()):
            raise NoReplica("No replica of any model is ready.")
        return {"status": "ready", "models": models}

    @router.get("/version")
    async def version() -> dict[str, str]:
        """The version of this program."""
        return {"version": gateway.settings.version}

    return router
