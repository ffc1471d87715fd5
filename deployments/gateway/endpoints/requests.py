"""Reading the record of a request back."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastapi import APIRouter, Request

from deployments.errors import ResponseNotFound, Unavailable
from deployments.gateway.context import Gateway, caller
from deployments.state.record import RequestRecord
from deployments.state.store import StateError

logger = logging.getLogger(__name__)


def routes(gateway: Gateway) -> APIRouter:
    """A request's record, by the id of its answer."""
    router = APIRouter(prefix="/v1/requests", tags=["requests"])

    @router.get("/{answer_id}")
    async def record(request: Request, answer_id: str) -> dict[str, Any]:
        """What is known of a request of the caller's tenant."""
        try:
            async with asyncio.timeout(gateway.settings.state_timeout_seconds):
                found = await gateway.store.get(caller(request).tenant, answer_id)
        except (StateError, TimeoutError) as error:
            logger.warning("the record of request %s was not read: %r", answer_id, error)
            raise Unavailable("The request records cannot be read now.") from error
        if found is None:
            raise ResponseNotFound
        return _shown(found)

    return router


def _shown(record: RequestRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "object": "request",
        "model": record.model,
        "endpoint": record.endpoint,
        "status": record.status,
        "parameters": record.parameters,
        "committed_tokens": list(record.committed_tokens),
        "finish_reason": record.finish_reason,
        "usage": record.usage,
        "error_code": record.error_code,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }
