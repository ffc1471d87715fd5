"""The record of one request, kept up to date while its answer is generated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from deployments.gateway.ids import Clock
from dllm_worker.request import Commit, Event

if TYPE_CHECKING:
    from deployments.state.record import RequestRecord, Status
    from deployments.state.store import RequestStore

logger = logging.getLogger(__name__)


class Recording:
    """Writes a record so that a failing store costs the record and never the answer.

    After a failed write the recording is ``degraded`` and stays silent until the end, when it brings the record up to
    date if it can. A record that could not be created is not written at all.
    """

    def __init__(self, store: RequestStore, record: RequestRecord, clock: Clock, timeout_seconds: float) -> None:
        self._store, self._record, self._clock, self._timeout = store, record, clock, timeout_seconds
        self._tokens: list[int] = []
        self._stored = 0
        self._exists = False
        self.degraded = False
        self.closed = False

    async def open(self) -> None:
        """Create the record."""
        self._exists = await self._write(self._store.create(self._record))

    async def run(self) -> None:
        """A replica has admitted the request."""
        if not self.degraded:
            await self._update("running")

    async def append(self, events: Iterable[Event]) -> None:
        """Add what ``events`` committed."""
        self._tokens += [token for event in events if isinstance(event, Commit) for token in event.tokens]
        if not self.degraded:
            await self._store_tokens()

    async def close(
        self,
        status: Status,
        *,
        finish_reason: str | None = None,
        usage: dict[str, Any] | None = None,
        error_code: str | None = None,
    ) -> None:
        """Enter how the request ended. Only the first end counts."""
        if self.closed:
            return
        self.closed = True
        if self._exists:
            await self._store_tokens()
            await self._update(status, finish_reason=finish_reason, usage=usage, error_code=error_code)

    async def _store_tokens(self) -> None:
        start, tokens = self._stored, self._tokens[self._stored :]
        if tokens and await self._write(self._store.append_tokens(self._record.tenant, self._record.id, start, tokens)):
            self._stored = start + len(tokens)

    async def _update(
        self,
        status: Status,
        *,
        finish_reason: str | None = None,
        usage: dict[str, Any] | None = None,
        error_code: str | None = None,
    ) -> None:
        await self._write(
            self._store.update(
                self._record.tenant,
                self._record.id,
                now=self._clock(),
                status=status,
                finish_reason=finish_reason,
                usage=usage,
                error_code=error_code,
            )
        )

    async def _write(self, write: Awaitable[None]) -> bool:
        """Whether the write was acknowledged in time."""
        try:
            async with asyncio.timeout(self._timeout):
                await write
        except Exception as error:
            self.degraded = True
            logger.warning("the record of request %s was not written: %r", self._record.id, error)
            return False
        return True
