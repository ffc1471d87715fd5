"""Which models can be answered for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployments.gateway.context import Gateway
    from deployments.pools.pool import Pool


async def ready_models(gateway: Gateway) -> dict[str, bool]:
    """For each model whether a replica of it answers in time."""
    answers = await asyncio.gather(
        *(_is_ready(model.pool, gateway.settings.ready_timeout_seconds) for model in gateway.models.values())
    )
    return dict(zip(gateway.models, answers, strict=True))


async def _is_ready(pool: Pool, timeout_seconds: float) -> bool:
    try:
        async with asyncio.timeout(timeout_seconds):
            return await pool.ready()
    except TimeoutError:
        return False
