"""Reservations that could not be settled at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from deployments.state.store import StateUnavailable
from deployments.tenancy.limits.limiter import Charge, Limiter

logger = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

MOST_PENDING = 10_000
RETRY_SECONDS = 1.0


class Settlements:
    """Settles with ``limiter`` what is added, as soon as it answers.

    No more than ``most_pending`` are kept; the oldest is dropped for one more. Of a reservation that nobody settles the
    charge stays spent, and its places are free when its lease has ended.
    """

    def __init__(self, limiter: Limiter, *, most_pending: int = MOST_PENDING, sleep: Sleep = asyncio.sleep) -> None:
        self._limiter, self._most_pending, self._sleep = limiter, most_pending, sleep
        self._pending: dict[tuple[str, str], Charge] = {}
        self._news = asyncio.Event()

    @property
    def pending(self) -> int:
        """Reservations that are not settled yet."""
        return len(self._pending)

    def add(self, tenant: str, reservation: str, spent: Charge) -> None:
        """Have a reservation settled."""
        self._pending.setdefault((tenant, reservation), spent)
        if len(self._pending) > self._most_pending:
            tenant, reservation = next(iter(self._pending))
            del self._pending[tenant, reservation]
            logger.error("reservation %s of tenant %s is dropped before it is settled", reservation, tenant)
        self._news.set()

    async def serve(self) -> None:
        """Settle what comes until cancelled. A limiter that fails is asked again."""
        while True:
            await self._news.wait()
            try:
                await self.settle()
            except StateUnavailable:
                await self._sleep(RETRY_SECONDS)

    async def settle(self) -> None:
        """Settle all that is pending, the oldest first. Raises :class:`StateUnavailable`, and the rest stays."""
        while self._pending:
            (tenant, reservation), spent = next(iter(self._pending.items()))
            await self._limiter.settle(tenant, reservation, spent)
            self._pending.pop((tenant, reservation), None)
        self._news.clear()
