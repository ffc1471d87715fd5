"""The twin of the Redis store, in dictionaries."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from deployments.state.bounds import Bounds
from deployments.state.record import TERMINAL, RequestRecord, fields_of
from deployments.state.store import (
    Change,
    Claim,
    Ended,
    Fenced,
    LogFull,
    Missing,
    RequestKey,
    StateError,
    Unfinished,
)


@dataclass(frozen=True, slots=True)
class _Request:
    """All that is kept of one request."""

    record: RequestRecord
    plan: bytes = b""
    checkpoint: bytes | None = None
    log: tuple[bytes, ...] = ()


class MemoryStore:
    """A :class:`deployments.state.store.RequestStore` whose requests live as long as it does."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._requests: dict[RequestKey, _Request] = {}
        self._leases: dict[RequestKey, float] = {}
        self._claims: dict[tuple[str, str], Claim] = {}
        self._inboxes: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=self._bounds.inbox_messages))
        self._news = asyncio.Condition()

    async def create(
        self, record: RequestRecord, *, plan: bytes | None = None, lease_until: float | None = None
    ) -> None:
        new = replace(record, lease_until=lease_until or 0.0, entries=0, log_bytes=0)
        held = self._requests.setdefault(record.key, _Request(new, plan or b""))
        if (held.record, held.plan) != (new, plan or b""):
            raise StateError(f"{record.id}: the id is taken")
        self._leases.setdefault(record.key, new.lease_until)

    async def write(self, key: RequestKey, epoch: int, change: Change) -> None:
        self._requests[key] = _written(self._requests.get(key), key.id, epoch, change, self._bounds)
        if change.lease_until is not None and change.status not in TERMINAL:
            self._leases[key] = change.lease_until
        await self._tell()

    async def get(self, key: RequestKey) -> RequestRecord | None:
        held = self._requests.get(key)
        return None if held is None else held.record

    async def entries(self, key: RequestKey, after: int = 0, wait_seconds: float = 0.0) -> tuple[bytes, ...]:
        def found() -> tuple[bytes, ...]:
            held = self._requests.get(key)
            return held.log[after:] if held else ()

        await self._wait_for(found, wait_seconds)
        return found()

    async def delete(self, key: RequestKey) -> bool:
        self._leases.pop(key, None)
        return self._requests.pop(key, None) is not None

    async def expired(self, now: float, limit: int) -> tuple[RequestKey, ...]:
        leases = sorted((end, key) for key, end in self._leases.items() if end < now)
        return tuple(key for _, key in islice(leases, limit))

    async def settled(self, key: RequestKey) -> None:
        held = self._requests.get(key)
        if held is None or held.record.has_ended:
            self._leases.pop(key, None)

    async def acquire(self, key: RequestKey, owner: str, now: float, lease_until: float) -> Unfinished | None:
        held = self._requests.get(key)
        if held is None or held.record.has_ended:
            return None
        record = held.record
        if (record.owner, record.lease_until) != (owner, lease_until):
            if record.lease_until >= now:
                return None
            record = replace(record, epoch=record.epoch + 1, owner=owner, lease_until=lease_until)
        self._requests[key] = replace(held, record=record)
        self._leases[key] = lease_until
        return Unfinished(record, held.plan, held.checkpoint, held.log)

    async def claim(self, tenant: str, token: str, claim: Claim) -> Claim:
        return self._claims.setdefault((tenant, token), claim)

    async def claimed(self, tenant: str, token: str) -> Claim | None:
        return self._claims.get((tenant, token))

    async def send(self, owner: str, message: str) -> None:
        self._inboxes[owner].append(message)
        await self._tell()

    async def receive(self, owner: str, wait_seconds: float) -> tuple[str, ...]:
        inbox = self._inboxes[owner]
        await self._wait_for(lambda: inbox, wait_seconds)
        messages = tuple(inbox)
        inbox.clear()
        return messages

    async def ping(self) -> bool:
        return True

    async def close(self) -> None:
        self._requests.clear()
        self._leases.clear()
        self._claims.clear()
        self._inboxes.clear()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _wait_for(self, found: Callable[[], object], wait_seconds: float) -> None:
        """Return when something is found, or when the time is over."""
        try:
            async with asyncio.timeout(wait_seconds), self._news:
                await self._news.wait_for(lambda: bool(found()))
        except TimeoutError:
            return


def _written(held: _Request | None, id: str, epoch: int, change: Change, bounds: Bounds) -> _Request:
    """What is kept after ``change``."""
    if len(change.checkpoint or b"") > bounds.checkpoint_bytes:
        raise LogFull(f"{id}: the checkpoint is too large")
    if held is None:
        raise Missing(f"{id}: there is no such record")
    if held.record.epoch != epoch:
        raise Fenced(f"{id}: another gateway has the lease")
    if held.record.has_ended:
        return _repeated(held, id, change)
    record = replace(held.record, **fields_of(change))
    log = _extended(held.log, id, change)
    bounded = log[: len(log) - record.has_ended]
    if len(log) > len(held.log) and not bounds.allow(len(bounded), sum(map(len, bounded))):
        raise LogFull(f"{id}: the log is full")
    record = replace(record, entries=len(log), log_bytes=sum(map(len, log)))
    if record.has_ended:
        return _Request(record, log=log)
    return replace(held, record=record, log=log, checkpoint=change.checkpoint or held.checkpoint)


def _repeated(held: _Request, id: str, change: Change) -> _Request:
    """The same, if ``change`` is the one that ended the request."""
    fields = {name: value for name, value in fields_of(change).items() if name != "updated_at"}
    is_logged = held.log[change.after :][: len(change.entries)] == tuple(change.entries)
    is_entered = all(getattr(held.record, name) == value for name, value in fields.items())
    if change.status in TERMINAL and change.after <= len(held.log) and is_logged and is_entered:
        return held
    raise Ended(f"{id}: the request has ended")


def _extended(log: tuple[bytes, ...], id: str, change: Change) -> tuple[bytes, ...]:
    known = log[change.after :]
    if change.after > len(log):
        raise StateError(f"{id}: the entries leave a gap after the log")
    if known[: len(change.entries)] != tuple(change.entries)[: len(known)]:
        raise StateError(f"{id}: the entries differ from those in the log")
    return (*log, *change.entries[len(known) :])
