"""The twin of the directory on a server, in dictionaries."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from deployments.state.store import Missing, StateError
from deployments.tenancy.directory.bounds import CHANGES
from deployments.tenancy.directory.directory import Declared
from deployments.tenancy.tenant import KeyRecord, Tenant


class MemoryDirectory:
    """A :class:`deployments.tenancy.directory.directory.Directory` that lives as long as this object does."""

    def __init__(self, declared: Declared | None = None) -> None:
        declared = declared or Declared()
        self._tenants = {tenant.name: tenant for tenant in declared.tenants}
        self._keys = {key.id: key for key in declared.keys}
        self._changes: deque[str] = deque(maxlen=CHANGES)
        self._count = 0
        self._news = asyncio.Condition()

    async def tenant(self, name: str) -> Tenant | None:
        return self._tenants.get(name)

    async def tenants(self) -> Sequence[Tenant]:
        return sorted(self._tenants.values(), key=lambda tenant: tenant.name)

    async def put_tenant(self, tenant: Tenant) -> None:
        if self._tenants.get(tenant.name) != tenant:
            self._tenants[tenant.name] = tenant
            await self._tell(tenant.name)

    async def remove_tenant(self, name: str) -> bool:
        if self._tenants.pop(name, None) is None:
            return False
        self._keys = {id: key for id, key in self._keys.items() if key.tenant != name}
        await self._tell(name)
        return True

    async def key(self, id: str) -> KeyRecord | None:
        return self._keys.get(id)

    async def keys(self, tenant: str) -> Sequence[KeyRecord]:
        of_tenant = (key for key in self._keys.values() if key.tenant == tenant)
        return sorted(of_tenant, key=lambda key: (key.created_at, key.id))

    async def put_key(self, key: KeyRecord) -> None:
        if key.tenant not in self._tenants:
            raise Missing(f"{key.tenant}: there is no such tenant")
        held = self._keys.get(key.id)
        if held is not None and held.tenant != key.tenant:
            raise StateError(f"{key.id}: the id is taken")
        uses = [each.last_used_at for each in (held, key) if each is not None and each.last_used_at is not None]
        revoked = key.revoked_at if held is None or key.revoked_at is not None else held.revoked_at
        self._keys[key.id] = new = replace(key, last_used_at=max(uses, default=None), revoked_at=revoked)
        if held is None or replace(held, last_used_at=new.last_used_at) != new:
            await self._tell(key.tenant)

    async def remove_key(self, id: str) -> bool:
        held = self._keys.pop(id, None)
        if held is None:
            return False
        await self._tell(held.tenant)
        return True

    async def used(self, id: str, hour: float) -> None:
        held = self._keys.get(id)
        if held is not None and (held.last_used_at or 0.0) < hour:
            self._keys[id] = replace(held, last_used_at=hour)

    async def changes(self) -> AsyncIterator[str | None]:
        seen = self._count
        yield None
        while True:
            async with self._news:
                while self._count == seen:
                    await self._news.wait()
            missed = self._count - seen
            seen = self._count
            if missed > len(self._changes):
                yield None
                continue
            for tenant in list(self._changes)[-missed:]:
                yield tenant

    async def _tell(self, tenant: str) -> None:
        self._changes.append(tenant)
        self._count += 1
        async with self._news:
            self._news.notify_all()
