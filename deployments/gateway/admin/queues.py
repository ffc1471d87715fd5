"""Who waits for which model, and how fairly they are served."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from deployments.gateway.admin.context import Administration
from deployments.gateway.admin.shapes import Json, listed, queue_json


def routes(administration: Administration) -> APIRouter:
    """The queues of all models and classes of canvases."""
    router = APIRouter(prefix="/queues", tags=["queues"])
    by_name = administration.shared.queues

    @router.get("")
    async def queues() -> Json:
        """Each queue: who waits by band, the tenants' counters, and the two measures of fairness."""
        states = await asyncio.gather(*(queue.state() for queue in by_name.values()))
        return listed([queue_json(name, state) for name, state in zip(by_name, states, strict=True)])

    return router
