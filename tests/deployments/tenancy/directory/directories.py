"""Directories on servers, and what is put into them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from deployments.state.client import CallSettings, ClientSettings
from deployments.state.connect import clients_at
from deployments.tenancy.directory.directory import Directory
from deployments.tenancy.directory.redis import RedisDirectory
from deployments.tenancy.tenant import KeyRecord, Limits, Tenant
from tests.deployments.state.servers import Place

ACME = Tenant(
    "acme",
    models=("tiny", "org/large"),
    weight=0.1,
    bands=("interactive", "default"),
    quality_floor="low",
    limits=Limits(requests_per_minute=60, work_per_month=1 << 52, queued=None),
    declared=True,
)
BRAVO = Tenant("bravo")


def key_of(tenant: str, id: str, **changes: Any) -> KeyRecord:
    """A key whose digest is as good as any."""
    return replace(KeyRecord(id, tenant, f"{id:0>64}", created_at=1000.0), **changes)


@asynccontextmanager
async def directory_at(place: Place) -> AsyncIterator[RedisDirectory]:
    """A directory with connections of its own, and the patience of a busy machine."""
    patient = CallSettings(timeout_seconds=20.0)
    clients = clients_at(place.url, ClientSettings(patient, patient, patient))
    try:
        yield RedisDirectory(clients.admission, clients.followers)
    finally:
        await clients.close()


@asynccontextmanager
async def following(directory: Directory) -> AsyncIterator[AsyncIterator[str | None]]:
    """The changes from now on; what does not come in a minute does not come at all."""
    changes = directory.changes()
    try:
        async with asyncio.timeout(60):
            assert await anext(changes) is None
            yield changes
    finally:
        await changes.aclose()  # type: ignore[attr-defined]


async def use_directory(place: Place) -> None:
    """Make every call, so that each script reaches each of its commands."""
    async with directory_at(place) as directory, following(directory) as changes:
        await directory.put_tenant(ACME)
        await directory.put_key(key_of("acme", "k", last_used_at=3600.0))
        await directory.used("k", 7200.0)
        assert await anext(changes) == "acme"
        assert await directory.tenant("acme") in await directory.tenants()
        assert await directory.key("k") in await directory.keys("acme")
        assert await directory.remove_key("k")
        await directory.put_key(key_of("acme", "k"))
        assert await directory.remove_tenant("acme")
