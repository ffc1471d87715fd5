"""Tenants and keys on a server that speaks the Redis protocol. All of it is in one slot of a cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from deployments.state.client import Client
from deployments.state.store import Missing, StateError, StateUnavailable
from deployments.tenancy.directory import scripts
from deployments.tenancy.directory.bounds import CHANGES
from deployments.tenancy.directory.encoding import decode_key, decode_tenant, encode_key, encode_tenant
from deployments.tenancy.tenant import KeyRecord, Tenant

logger = logging.getLogger(__name__)

TENANTS, KEYS, USES, STREAM = (f"dllm:{{directory}}:{part}" for part in ("tenants", "keys", "uses", "changes"))

BLOCK_SECONDS = 1.0
"""How long the server is asked to wait for a change. Then the reader looks whether the stream is still the same."""

RETRY_SECONDS = 0.5
"""The pause between two attempts to read the changes of a server that does not answer."""

_REFUSALS: dict[bytes, tuple[type[StateError], str]] = {
    b"missing": (Missing, "{key.tenant}: there is no such tenant"),
    b"taken": (StateError, "{key.id}: the id is taken"),
}


def members_key(tenant: str) -> str:
    """The ids of a tenant's keys."""
    return f"dllm:{{directory}}:members:{tenant}"


class RedisDirectory:
    """A :class:`deployments.tenancy.directory.directory.Directory` for many gateways.

    ``followers`` is for the reads of changes, which the server holds back for up to ``BLOCK_SECONDS``.
    """

    def __init__(self, client: Client, followers: Client) -> None:
        self._client, self._followers = client, followers

    async def tenant(self, name: str) -> Tenant | None:
        found = await self._client.call("HGET", TENANTS, name)
        return None if found is None else decode_tenant(found)

    async def tenants(self) -> Sequence[Tenant]:
        found = await self._client.call("HVALS", TENANTS)
        return sorted(map(decode_tenant, found), key=lambda tenant: tenant.name)

    async def put_tenant(self, tenant: Tenant) -> None:
        await self._client.run(scripts.PUT_TENANT, [TENANTS, STREAM], CHANGES, tenant.name, encode_tenant(tenant))

    async def remove_tenant(self, name: str) -> bool:
        return bool(await self._client.run(scripts.REMOVE_TENANT, _all_keys(name), CHANGES, name))

    async def key(self, id: str) -> KeyRecord | None:
        found, used = await self._client.run(scripts.KEY, [KEYS, USES], id)
        return None if found is None else _key(found, used)

    async def keys(self, tenant: str) -> Sequence[KeyRecord]:
        flat = await self._client.run(scripts.KEYS_OF, [KEYS, USES, members_key(tenant)])
        found = (_key(key, used) for key, used in zip(flat[::2], flat[1::2], strict=True))
        return sorted(found, key=lambda key: (key.created_at, key.id))

    async def put_key(self, key: KeyRecord) -> None:
        used = "" if key.last_used_at is None else key.last_used_at
        arguments = (CHANGES, key.tenant, key.id, encode_key(key), used)
        answer = await self._client.run(scripts.PUT_KEY, _all_keys(key.tenant), *arguments)
        held = await self.key(key.id) if answer == b"revoked" else None
        if held is not None:
            await self.put_key(replace(key, revoked_at=held.revoked_at))
        elif answer not in (b"ok", b"revoked"):
            kind, reason = _REFUSALS[answer]
            raise kind(reason.format(key=key))

    async def remove_key(self, id: str) -> bool:
        held = await self.key(id)
        if held is None:
            return False
        return bool(await self._client.run(scripts.REMOVE_KEY, _all_keys(held.tenant), CHANGES, held.tenant, id))

    async def used(self, id: str, hour: float) -> None:
        await self._client.run(scripts.USED, [KEYS, USES], id, hour)

    async def changes(self) -> AsyncIterator[str | None]:
        while True:
            try:
                last = await self._newest()
                yield None
                async with aclosing(self._changes_after(last)) as changes:
                    async for change in changes:
                        yield change
            except StateUnavailable as error:
                logger.warning("changes of tenants and keys are not heard of: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _changes_after(self, last: bytes) -> AsyncGenerator[str]:
        """Changes as they come, until one is missing."""
        block = round(BLOCK_SECONDS * 1000)
        while True:
            found = await self._followers.wait("XREAD", "BLOCK", block, "STREAMS", STREAM, last)
            if not found and await self._newest() != last:
                return
            for id, fields in found[0][1] if found else ():
                if fields[b"after"] != last:
                    return
                last = id
                yield fields[b"tenant"].decode()

    async def _newest(self) -> bytes:
        """The id of the newest entry of the stream."""
        return bytes(await self._client.run(scripts.NEWEST, [STREAM]))


def _all_keys(tenant: str) -> list[str]:
    return [TENANTS, STREAM, KEYS, USES, members_key(tenant)]


def _key(text: bytes, used: bytes | None) -> KeyRecord:
    return decode_key(text, None if used is None else float(used))
