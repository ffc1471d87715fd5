"""Reading what the store keeps of requests, for those whose tenant asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from deployments.errors import ResponseNotFound, ServingError, Unavailable
from deployments.state.store import RequestKey, StateError

if TYPE_CHECKING:
    from deployments.gateway.context import Gateway
    from deployments.state.record import RequestRecord
    from deployments.tenancy.tenant import Access

logger = logging.getLogger(__name__)

CANCEL_SECONDS = 5.0
"""How long the end of a cancelled request is waited for, which may run at another gateway."""


@asynccontextmanager
async def asking(gateway: Gateway, doing: str) -> AsyncIterator[None]:
    """Bounds what is asked of the store; what it does not answer is :class:`Unavailable`."""
    try:
        async with asyncio.timeout(gateway.settings.state_timeout_seconds):
            yield
    except (StateError, TimeoutError) as error:
        logger.warning("%s: the store does not answer: %r", doing, error)
        raise Unavailable("The request records cannot be reached now.") from error


async def find_record(gateway: Gateway, access: Access, answer_id: str) -> RequestRecord:
    """The record of a request of the tenant with ``access``. Raises :class:`PermissionDenied` for a key that opens no
    answers, :class:`ResponseNotFound` and :class:`Unavailable`.
    """
    access.require("generate", "jobs")
    return await _record(gateway, RequestKey(access.tenant.name, answer_id))


async def _record(gateway: Gateway, key: RequestKey) -> RequestRecord:
    async with asking(gateway, f"the record of request {key.id}"):
        record = await gateway.store.get(key)
    if record is None:
        raise ResponseNotFound
    return record


async def log_of(gateway: Gateway, record: RequestRecord) -> tuple[bytes, ...]:
    """The entries that are kept of the answer. Raises :class:`Unavailable`."""
    async with asking(gateway, f"the log of request {record.id}"):
        return await gateway.store.entries(record.key)


async def cancelled(gateway: Gateway, record: RequestRecord) -> RequestRecord:
    """The record of a request that runs no more, which is cancelled if it still did. Raises :class:`Unavailable`."""
    if record.has_ended:
        return record
    try:
        await gateway.executions.cancel(record.key)
    except StateError as error:
        raise Unavailable("The request cannot be cancelled now.") from error
    with suppress(ServingError, TimeoutError):
        async with asyncio.timeout(CANCEL_SECONDS), aclosing(gateway.executions.follow(record.key)) as outputs:
            async for _ in outputs:
                pass
    return await _record(gateway, record.key)
