"""Which leases end first: an index in a slot of its own, and so a hint only. What holds is in the records."""

from __future__ import annotations

import json

from deployments.state import scripts
from deployments.state.client import Client
from deployments.state.keys import LEASES
from deployments.state.store import RequestKey


class LeaseIndex:
    """A sorted set of requests by the ends of their leases. A request may be missing, or be there without a reason."""

    def __init__(self, writer: Client, reader: Client) -> None:
        self._writer, self._reader = writer, reader

    async def announce(self, key: RequestKey, lease_until: float) -> None:
        """Enter a request that is about to be created; one that is there stays as it is."""
        await self._writer.call("ZADD", LEASES, "NX", lease_until, _member(key))

    async def enter(self, key: RequestKey, lease_until: float) -> None:
        await self._writer.call("ZADD", LEASES, lease_until, _member(key))

    async def drop(self, key: RequestKey) -> None:
        await self._writer.call("ZREM", LEASES, _member(key))

    async def before(self, now: float, limit: int) -> list[tuple[RequestKey, float]]:
        """The first ``limit`` requests whose leases seem to have ended before ``now``, with their ends."""
        flat = await self._reader.call("ZRANGEBYSCORE", LEASES, "-inf", f"({now!r}", "WITHSCORES", "LIMIT", 0, limit)
        return [(_key(member), float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]

    async def correct(self, key: RequestKey, seen: float, lease_until: float | None) -> None:
        """Replace the end ``seen`` by the right one, or by none, unless somebody else has replaced it meanwhile."""
        right = "" if lease_until is None else lease_until
        await self._reader.run(scripts.CORRECT, [LEASES], _member(key), seen, right)


def _member(key: RequestKey) -> str:
    return json.dumps(key)


def _key(member: bytes) -> RequestKey:
    return RequestKey(*json.loads(member))
