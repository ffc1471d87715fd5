"""Enters ended requests in the ledger, whatever becomes of it meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice

from deployments.errors import GatewayLost
from deployments.state.record import RequestRecord
from deployments.state.store import RequestKey, StateError
from deployments.telemetry.metrics import Metrics
from deployments.telemetry.names import LEDGER_DROPPED, LEDGER_PENDING
from deployments.tenancy.ledger.ledger import Ledger, LedgerEntry
from deployments.tenancy.ledger.records import entry_of

logger = logging.getLogger(__name__)

Forget = Callable[[RequestKey], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]

AT_ONCE = 16
MOST_PENDING = 10_000
RETRY_SECONDS = 0.5
CLOSE_SECONDS = 2.0


class Biller:
    """Keeps an ended request until its entry is in the ledger and the request out of the outbox, which ``forget`` sees
    to. Both may be done again.

    What this gateway cannot write before it dies is still in the outbox, where another one finds it. While there is
    nothing to write to, no more than ``most_pending`` requests are kept; the oldest is dropped for one more.
    """

    def __init__(
        self,
        ledger: Ledger,
        forget: Forget,
        metrics: Metrics,
        *,
        most_pending: int = MOST_PENDING,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._ledger, self._forget, self._metrics = ledger, forget, metrics
        self._most_pending, self._sleep = most_pending, sleep
        self._pending: dict[RequestKey, LedgerEntry | None] = {}
        self._news = asyncio.Event()

    @property
    def pending(self) -> int:
        """Ended requests whose entry may not be written yet."""
        return len(self._pending)

    async def bill(self, record: RequestRecord) -> None:
        """Have an ended request entered; returns at once, and may be called again for the same one."""
        self._pending.setdefault(record.key, _entry(record))
        if len(self._pending) > self._most_pending:
            self._drop(next(iter(self._pending)))
        self._tell()
        self._news.set()

    async def serve(self) -> None:
        """Write what comes until cancelled. A ledger that fails is asked again."""
        while True:
            await self._news.wait()
            if await self._write_some():
                continue
            await self._sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Write what is left, once and for a bounded time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._pending and await self._write_some():
                    pass
        if self._pending:
            logger.error("%d ended requests are left to other gateways to bill", len(self._pending))

    async def _write_some(self) -> bool:
        """Write the first ones; whether any was written. Those that were not go behind the others."""
        batch = list(islice(self._pending.items(), AT_ONCE))
        written = await asyncio.gather(*(self._write(key, entry) for key, entry in batch))
        for (key, entry), is_written in zip(batch, written, strict=True):
            if key in self._pending:
                del self._pending[key]
                self._pending |= {} if is_written else {key: entry}
        if not self._pending:
            self._news.clear()
        self._tell()
        return any(written)

    async def _write(self, key: RequestKey, entry: LedgerEntry | None) -> bool:
        try:
            if entry is not None:
                await self._ledger.enter(entry)
            await self._forget(key)
        except StateError as error:
            logger.warning("request %s of tenant %s is not billed yet: %r", key.id, key.tenant, error)
            return False
        except Exception:
            logger.exception("request %s of tenant %s is not billed yet", key.id, key.tenant)
            return False
        return True

    def _drop(self, key: RequestKey) -> None:
        del self._pending[key]
        logger.error("request %s of tenant %s is dropped before it is billed", key.id, key.tenant)
        self._metrics.record(LEDGER_DROPPED, 1)

    def _tell(self) -> None:
        self._metrics.record(LEDGER_PENDING, len(self._pending))


def _entry(record: RequestRecord) -> LedgerEntry | None:
    """The entry of a request; ``None`` for one that only has to leave the outbox.

    Whoever closes the record of a lost gateway cannot know what that one's client was told. If the gateway lives after
    all, it enters the request itself; if not, there is nothing to pay. A record that cannot be read would come back for
    ever.
    """
    if record.error_code == GatewayLost.code:
        return None
    try:
        return entry_of(record)
    except Exception:
        logger.exception("request %s of tenant %s cannot be billed", record.id, record.tenant)
        return None
