"""Keys: made, listed, replaced and revoked. A key itself is shown once, in the answer that makes it."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request

from deployments.errors import Conflict
from deployments.gateway.admin import audit
from deployments.gateway.admin.context import Administration
from deployments.gateway.admin.shapes import Json, KeyBody, RotationBody, key_json, listed
from deployments.tenancy.tenant import KeyRecord

EMPTY, USUAL = KeyBody(), RotationBody()


def routes(administration: Administration) -> APIRouter:
    """The keys of a tenant, and each."""
    router = APIRouter(tags=["keys"])
    directory, clock = administration.shared.directory, administration.clock

    @router.get("/tenants/{name}/keys")
    async def keys(name: str) -> Json:
        """The keys of a tenant, the oldest first, without their secrets."""
        tenant = await administration.tenant(name)
        return listed([key_json(key) for key in await directory.keys(tenant.name)])

    @router.post("/tenants/{name}/keys")
    async def create(request: Request, name: str, body: KeyBody = EMPTY) -> Json:
        """Make a key. This answer alone has it."""
        tenant, key = await administration.tenant(name), await administration.new_key(body.environment)
        record = body.record(key, tenant.name, clock())
        await directory.put_key(record)
        audit.record(request, "create_key", tenant.name, key.id)
        return {**key_json(record), "key": key.text}

    @router.post("/keys/{id}/revoke")
    async def revoke(request: Request, id: str) -> Json:
        """End a key, for good and within a second. One that is revoked stays as it is."""
        held = await administration.changeable_key(id)
        if held.revoked_at is not None:
            return key_json(held)
        revoked = replace(held, revoked_at=clock())
        await directory.put_key(revoked)
        audit.record(request, "revoke_key", held.tenant, id)
        return key_json(revoked)

    @router.post("/keys/{id}/rotate")
    async def rotate(request: Request, id: str, body: RotationBody = USUAL) -> Json:
        """Make a key like this one, which ends after the overlap. This answer alone has the new key."""
        held, now = await administration.changeable_key(id), clock()
        key = await administration.new_key(body.environment)
        new = replace(_renewed(held, now), id=key.id, digest=key.digest)
        await directory.put_key(new)
        old = _ending(await administration.changeable_key(id), now + body.overlap_seconds)
        await directory.put_key(old)
        audit.record(request, "rotate_key", held.tenant, id)
        audit.record(request, "create_key", held.tenant, key.id)
        return {**key_json(new), "key": key.text, "replaces": key_json(old)}

    return router


def _renewed(key: KeyRecord, now: float) -> KeyRecord:
    """A key that opens the same as ``key`` from now on, for as long as that one was to. Raises :class:`Conflict`."""
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise Conflict("The key is not valid any more: create a new one.")
    expires_at = None if key.expires_at is None else now + key.expires_at - key.created_at
    return replace(key, created_at=now, expires_at=expires_at, last_used_at=None)


def _ending(key: KeyRecord, at: float) -> KeyRecord:
    """``key`` with its end at that time, or before if it has one."""
    return replace(key, expires_at=at if key.expires_at is None else min(at, key.expires_at))
