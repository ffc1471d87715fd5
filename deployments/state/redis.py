"""Request state on a server that speaks the Redis protocol."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable
from dataclasses import asdict, replace
from itertools import chain
from typing import Any

from deployments.state import scripts
from deployments.state.bounds import Bounds
from deployments.state.client import Argument, Clients, wait_for_entry
from deployments.state.inbox import Inbox
from deployments.state.keys import RequestKeys, claim_key
from deployments.state.leases import LeaseIndex
from deployments.state.record import TERMINAL, RequestRecord, decode, encode, encode_fields, fields_of
from deployments.state.store import (
    Change,
    Claim,
    Ended,
    Fenced,
    LogFull,
    Missing,
    RequestKey,
    StateError,
    StateUnavailable,
    Unfinished,
)

logger = logging.getLogger(__name__)

_REFUSALS: dict[str, tuple[type[StateError], str]] = {
    "taken": (StateError, "the id is taken"),
    "missing": (Missing, "there is no such record"),
    "fenced": (Fenced, "another gateway has the lease"),
    "ended": (Ended, "the request has ended"),
    "gap": (StateError, "the entries leave a gap after the log"),
    "conflict": (StateError, "the entries differ from those in the log"),
    "full": (LogFull, "the log is full"),
}


class RedisStore:
    """A :class:`deployments.state.store.RequestStore` whose requests expire ``ttl_seconds`` after their last write."""

    def __init__(self, clients: Clients, ttl_seconds: int, bounds: Bounds) -> None:
        self._clients, self._ttl, self._bounds = clients, ttl_seconds, bounds
        self._leases = LeaseIndex(clients.admission, clients.state)
        self._inbox = Inbox(clients, bounds.inbox_messages)

    async def create(
        self, record: RequestRecord, *, plan: bytes | None = None, lease_until: float | None = None
    ) -> None:
        new = replace(record, lease_until=lease_until or 0.0, entries=0, log_bytes=0)
        await self._leases.announce(record.key, new.lease_until)
        arguments: tuple[Argument, ...] = (self._ttl, plan or b"", *_flatten(encode(new)))
        _check(record.id, await self._clients.admission.run(scripts.CREATE, RequestKeys.of(record.key), *arguments))

    async def write(self, key: RequestKey, epoch: int, change: Change) -> None:
        checkpoint, ends = change.checkpoint or b"", change.status in TERMINAL
        if len(checkpoint) > self._bounds.checkpoint_bytes:
            raise LogFull(f"{key.id}: the checkpoint has {len(checkpoint)} bytes")
        fields = _flatten(encode_fields(fields_of(change)))
        head = (self._ttl, epoch, change.after, checkpoint, self._bounds.log_entries, self._bounds.log_bytes, int(ends))
        arguments: tuple[Argument, ...] = (*head, len(fields), *fields, *change.entries)
        _check(key.id, await self._clients.state.run(scripts.WRITE, RequestKeys.of(key), *arguments))
        if change.lease_until is not None and not ends:
            await _attempt(self._leases.enter(key, change.lease_until))

    async def get(self, key: RequestKey) -> RequestRecord | None:
        fields = await self._clients.state.call("HGETALL", RequestKeys.of(key).record)
        return _record(fields) if fields else None

    async def entries(self, key: RequestKey, after: int = 0, wait_seconds: float = 0.0) -> tuple[bytes, ...]:
        log = RequestKeys.of(key).log
        found = await self._log(log, after)
        if found or wait_seconds <= 0:
            return found
        await wait_for_entry(self._clients.followers, log, f"{after}-0", wait_seconds)
        return await self._log(log, after)

    async def delete(self, key: RequestKey) -> bool:
        existed = await self._clients.state.run(scripts.DELETE, RequestKeys.of(key))
        await _attempt(self._leases.drop(key))
        return bool(existed)

    async def expired(self, now: float, limit: int) -> tuple[RequestKey, ...]:
        while True:
            hints = await self._leases.before(now, limit)
            ends = await asyncio.gather(*(self._lease_end(key, seen) for key, seen in hints))
            wrong = [(key, seen, end) for (key, seen), end in zip(hints, ends, strict=True) if end != seen]
            if not wrong:
                return tuple(key for key, _ in hints)
            for key, seen, end in wrong:
                await self._leases.correct(key, seen, end)

    async def settled(self, key: RequestKey) -> None:
        status = await self._clients.state.call("HGET", RequestKeys.of(key).record, "status")
        if status is None or json.loads(status) in TERMINAL:
            await self._leases.drop(key)

    async def acquire(self, key: RequestKey, owner: str, now: float, lease_until: float) -> Unfinished | None:
        arguments = (self._ttl, json.dumps(owner), now, json.dumps(lease_until))
        found = await self._clients.state.run(scripts.ACQUIRE, RequestKeys.of(key), *arguments)
        if found is None:
            return None
        flat, plan, checkpoint, log = found
        record = _record(dict(zip(flat[::2], flat[1::2], strict=True)))
        await _attempt(self._leases.enter(key, lease_until))
        return Unfinished(record, plan or b"", checkpoint, tuple(log))

    async def claim(self, tenant: str, token: str, claim: Claim) -> Claim:
        value = json.dumps(asdict(claim))
        held = await self._clients.admission.run(scripts.CLAIM, [claim_key(tenant, token)], self._ttl, value)
        return Claim(**json.loads(held))

    async def claimed(self, tenant: str, token: str) -> Claim | None:
        held = await self._clients.admission.call("GET", claim_key(tenant, token))
        return None if held is None else Claim(**json.loads(held))

    async def send(self, owner: str, message: str) -> None:
        await self._inbox.send(owner, message)

    async def receive(self, owner: str, wait_seconds: float) -> tuple[str, ...]:
        return await self._inbox.receive(owner, wait_seconds)

    async def ping(self) -> bool:
        try:
            return bool(await self._clients.state.call("PING"))
        except StateUnavailable:
            return False

    async def close(self) -> None:
        await self._clients.close()

    async def _log(self, log: str, after: int) -> tuple[bytes, ...]:
        found = await self._clients.state.call("XRANGE", log, f"{after + 1}-0", "+")
        return tuple(fields[b"entry"] for _, fields in found)

    async def _lease_end(self, key: RequestKey, seen: float) -> float | None:
        """When the lease of a request ends, which is what was ``seen`` if the request has ended; ``None`` when it is
        gone.
        """
        values = await self._clients.state.call("HMGET", RequestKeys.of(key).record, "status", "lease_until")
        if None in values:
            return None
        status, end = (json.loads(value) for value in values)
        return seen if status in TERMINAL else float(end)


def _record(fields: dict[bytes, bytes]) -> RequestRecord:
    return decode({name.decode(): value for name, value in fields.items()})


def _flatten(fields: dict[str, str]) -> tuple[str, ...]:
    return tuple(chain.from_iterable(fields.items()))


def _check(id: str, answer: bytes) -> None:
    """Raise what the answer of a script says."""
    if answer != b"ok":
        kind, reason = _REFUSALS[answer.decode()]
        raise kind(f"{id}: {reason}")


async def _attempt(hint: Awaitable[Any]) -> None:
    """Carry out a change of the index, which may fail: what holds is in the record, and readers mend the index."""
    try:
        await hint
    except StateUnavailable as error:
        logger.warning("the index of leases lags behind: %s", error)
