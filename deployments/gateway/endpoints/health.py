"""Whether the gateway lives, whether it can serve, and what it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from deployments.errors import NoReplica
from deployments.gateway.context import Gateway

if TYPE_CHECKING:
    from deployments.pools.pool import Pool


def routes(gateway: Gateway) -> APIRouter:
    """Health and version, open to everyone."""
    router = APIRouter(tags=["health"])

    async def is_ready(pool: Pool) -> bool:
        try:
            async with asyncio.timeout(gateway.settings.ready_timeout_seconds):
                return await pool.ready()
        except TimeoutError:
            return False

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "live"}

    @router.get("/health/ready")
    @router.get("/health", include_in_schema=False)
    async def ready() -> dict[str, Any]:
        """At least one model has a replica that answers; `models` says which."""
        answers = await asyncio.gather(*(is_ready(model.pool) for model in gateway.models.values()))
        if not any(answers):
            raise NoReplica("No replica of any model is ready.")
        return {"status": "ready", "models": dict(zip(gateway.models, answers, strict=True))}

    @router.get("/version")
    async def version() -> dict[str, str]:
        """The version of this program."""
        return {"version": gateway.settings.version}

    return router
