"""The store's account of one request, kept up to date beside its execution."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opentelemetry.context import get_current

from deployments.errors import ServingError, StreamLogFull, TakenOver, Unavailable
from deployments.execution.entries import Failed, encode_entry
from deployments.execution.settings import ExecutionSettings
from deployments.state.record import RequestRecord, Status
from deployments.state.store import Change, Ended, Fenced, LogFull, Missing, RequestStore, StateError, StateUnavailable
from deployments.telemetry.spans import detached

logger = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Unix time in seconds."""

RETRY_SECONDS = 0.5
AGAIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended, as its record has it."""

    status: Status
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    error_code: str | None = None


class Journal:
    """Writes in a task of its own, so that no token waits for the store; what comes during a write goes in the next.

    A durable request is written at each commit, any other one when it starts and when it ends. A store that fails
    costs a plain request its record and never its answer; a durable one is not accepted without its record, and is
    entered again, whole, into a store that has lost its memory.
    ``on_lost`` is told :class:`TakenOver` when the request has become another gateway's, and :class:`StreamLogFull`
    when its log takes no more than its end.
    """

    def __init__(
        self,
        store: RequestStore,
        record: RequestRecord,
        plan: bytes | None,
        clock: Clock,
        settings: ExecutionSettings,
        entries: Sequence[bytes] = (),
    ) -> None:
        """``entries`` are in the log already."""
        self._store, self._record, self._clock, self._settings = store, record, clock, settings
        self._written = len(entries)
        self._entries = list(entries)
        self._plan = plan
        self._checkpoint: bytes | None = None
        self._news: Change | None = None
        self._ending: Ending | None = None
        self._give_up = math.inf
        self._changed, self._settled = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.degraded = False
        self.is_fenced = False
        self.on_lost: Callable[[ServingError], None] = lambda error: None

    async def open(self) -> None:
        """Create the record. Raises :class:`Unavailable` for a durable request that cannot be kept."""
        durable, settings = self._record.durable, self._settings
        try:
            async with asyncio.timeout(settings.accept_seconds if durable else settings.write_seconds):
                await (self._insist() if durable else self._create())
        except Exception as error:
            logger.warning("the record of request %s was not created: %r", self._record.id, error)
            self.degraded = True
            if durable:
                raise Unavailable("The request cannot be stored now.") from error
            self._settled.set()
            return
        self.keep()

    def keep(self) -> None:
        """Start writing."""
        context = detached(get_current())
        self._task = asyncio.create_task(self._write_changes(), name=f"journal of {self._record.id}", context=context)

    def enter(self, entry: bytes, checkpoint: bytes | None = None) -> None:
        """Add an entry to the log, with the checkpoint after it."""
        self._entries.append(entry)
        self.save(checkpoint)

    def save(self, checkpoint: bytes | None) -> None:
        """Replace the checkpoint."""
        self._checkpoint = checkpoint or self._checkpoint
        if self._record.durable:
            self._changed.set()

    def run(self) -> None:
        """A replica has admitted the request."""
        self._tell(replace(self._news or Change(self._clock()), status="running"))

    def renew(self) -> None:
        """Prolong the lease."""
        self._tell(replace(self._news or Change(self._clock()), lease_until=self._lease_end))

    async def close(self, ending: Ending) -> None:
        """Enter how the request ended; returns when that is written, or not worth waiting for any longer."""
        self._ending = ending
        self._give_up = self._clock() + self._settings.patience_seconds
        self._changed.set()
        await self._wait_until_settled()

    async def release(self) -> None:
        """Leave the request to whoever wants it."""
        self._tell(replace(self._news or Change(self._clock()), lease_until=0.0))
        await self._wait_until_settled()
        self._settled.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _insist(self) -> None:
        """Create the record as soon as the store answers."""
        while True:
            try:
                return await self._create()
            except StateUnavailable as error:
                logger.warning("the record of request %s is created again: %r", self._record.id, error)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _create(self) -> None:
        await self._store.create(self._record, plan=self._plan, lease_until=self._lease_end)

    @property
    def _lease_end(self) -> float:
        return self._clock() + self._settings.lease_seconds

    def _tell(self, news: Change) -> None:
        self._news = news
        self._changed.set()

    async def _wait_until_settled(self) -> None:
        try:
            async with asyncio.timeout(self._settings.write_seconds):
                await self._settled.wait()
        except TimeoutError:
            self.degraded = True

    async def _write_changes(self) -> None:
        while not self._settled.is_set():
            await self._changed.wait()
            self._changed.clear()
            if not await self._flush() and not self._settled.is_set():
                self._changed.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _flush(self) -> bool:
        """Write what is new; whether it is written, or need not be tried again."""
        change, ending = self._change(), self._ending
        try:
            async with asyncio.timeout(self._settings.write_seconds):
                await self._write(change)
        except (Fenced, Ended):
            self._settled.set()
            if self._record.durable:
                self.is_fenced = True
                self.on_lost(TakenOver())
            return True
        except Missing:
            self._settled.set()
            return True
        except LogFull:
            self._cut_short()
            return True
        except (StateError, TimeoutError) as error:
            return self._failed(change, error)
        self._written = change.after + len(change.entries)
        self._checkpoint = None if self._checkpoint is change.checkpoint else self._checkpoint
        self.degraded = False
        if ending is not None or change.lease_until == 0.0:
            self._settled.set()
        return True

    async def _write(self, change: Change) -> None:
        key, epoch = self._record.key, self._record.epoch
        try:
            await self._store.write(key, epoch, change)
        except Missing:
            if not self._record.durable or change.status == "cancelled":
                raise
            await self._create()
            await self._store.write(key, epoch, replace(change, after=0, entries=tuple(self._entries)))

    def _change(self) -> Change:
        news, self._news = self._news or Change(self._clock()), None
        whole = self._record.durable or self._ending is not None
        change = replace(
            news,
            now=self._clock(),
            after=self._written,
            entries=tuple(self._entries[self._written :]) if whole else (),
            checkpoint=self._checkpoint if self._record.durable and self._ending is None else None,
        )
        if self._ending is None:
            return change
        end = self._ending
        return replace(
            change,
            lease_until=None,
            status=end.status,
            finish_reason=end.finish_reason,
            usage=end.usage,
            error_code=end.error_code,
        )

    def _cut_short(self) -> None:
        """The log takes no more than the end of the request. Nobody may take what is there for the whole answer."""
        del self._entries[self._written :]
        if self._ending is None:
            self.on_lost(StreamLogFull())
            return
        self._entries.append(encode_entry(Failed.of(StreamLogFull())))
        if self._record.durable:
            self._ending = Ending("failed", error_code=StreamLogFull.code)
        self._changed.set()

    def _failed(self, change: Change, error: Exception) -> bool:
        """A durable request is worth another try, and so is the end of any, by which it is billed; not for ever."""
        logger.warning("the record of request %s was not written: %r", self._record.id, error)
        self.degraded = True
        if (self._record.durable or self._ending is not None) and self._clock() < self._give_up:
            self._news = self._news or change
            return False
        if self._ending is not None:
            self._settled.set()
        return True
