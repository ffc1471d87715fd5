"""Who sends a request: from the ``Authorization`` header to what its key opens."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from deployments.errors import InvalidApiKey, Unavailable
from deployments.state.store import StateUnavailable
from deployments.tenancy.attempts import FailedAttempts
from deployments.tenancy.directory.directory import Declared, Directory
from deployments.tenancy.keys import ApiKey, parse_key
from deployments.tenancy.recent import Recent
from deployments.tenancy.tenant import Access, KeyRecord

logger = logging.getLogger(__name__)

HOUR = 3600.0
NOBODY = "0" * 64
"""What a key is compared with when there is none of its id, so that both cases take the same time."""


@dataclass(frozen=True, slots=True)
class VerificationSettings:
    """Times in seconds.

    A key that was found valid is valid for ``fresh_seconds`` without another look-up, and for ``stale_seconds`` while
    the directory does not answer; one that was refused is refused for ``refused_seconds``. After a call that failed
    the directory is left alone for ``pause_seconds``.
    """

    fresh_seconds: float = 15.0
    stale_seconds: float = 900.0
    refused_seconds: float = 5.0
    pause_seconds: float = 1.0
    failures_per_minute: int = 20
    max_keys: int = 10_000
    max_refused: int = 10_000
    max_addresses: int = 10_000


@dataclass(frozen=True, slots=True)
class _Verified:
    """A key that was found valid at ``since`` and needs no look-up before ``fresh_until``."""

    access: Access
    since: float
    fresh_until: float

    def is_fresh(self, now: float) -> bool:
        """Whether no look-up is needed; a clock that was set back makes one needed."""
        return self.since <= now < self.fresh_until


class Verifier:
    """Finds out what a key opens, most of the time from memory.

    Declared keys are valid whatever becomes of the directory. What else is known is forgotten as soon as the directory
    says that it has changed (:meth:`serve`), so that a revocation takes effect at once, and otherwise after a while.
    """

    def __init__(
        self,
        directory: Directory,
        declared: Declared,
        clock: Callable[[], float],
        settings: VerificationSettings | None = None,
    ) -> None:
        self._directory, self._clock = directory, clock
        self._settings = settings = settings or VerificationSettings()
        self._verified: Recent[str, _Verified] = Recent(settings.max_keys)
        self._refused: Recent[str, float] = Recent(settings.max_refused)
        self._noted: Recent[str, float] = Recent(settings.max_keys)
        self._attempts = FailedAttempts(clock, settings.failures_per_minute, settings.max_addresses)
        self._looking_up: dict[str, asyncio.Task[Access | None]] = {}
        self._noting: set[asyncio.Task[None]] = set()
        self._changes = 0
        self._paused_until = 0.0
        self.declare(declared)

    def declare(self, declared: Declared) -> None:
        """These are the declared tenants and keys from now on."""
        self.declared = declared
        self._tenants = {tenant.name: tenant for tenant in declared.tenants}
        self._declared = {key.id: Access(self._tenants[key.tenant], key) for key in declared.keys}
        self._forget(None)

    async def verify(self, authorization: str | None, address: str) -> Access:
        """What the key in an ``Authorization: Bearer`` header opens, sent from ``address``.

        Raises :class:`InvalidApiKey`, always with the same words; :class:`TooManyFailedAttempts` for a key that is not
        known when too many such came from there; :class:`Unavailable` for one when the directory does not answer.
        """
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise InvalidApiKey
        key = _parsed(text.strip())
        known = None if key is None else self._known(key)
        if known is None:
            self._attempts.check(address)
        access = None if key is None else await self._access(key, known)
        if access is None:
            self._attempts.count(address)
            raise InvalidApiKey
        self._note_use(access.key)
        return access

    async def serve(self) -> None:
        """Forget what has changed, until cancelled."""
        try:
            async for tenant in self._directory.changes():
                self._forget(tenant)
        finally:
            await asyncio.gather(*self._noting)

    def _known(self, key: ApiKey) -> _Verified | None:
        """What is known of a valid key."""
        if key.id in self._declared:
            known: _Verified | None = _Verified(self._declared[key.id], since=0.0, fresh_until=math.inf)
        else:
            known = self._verified.find(key.id)
        digest = NOBODY if known is None else known.access.key.digest
        matches = hmac.compare_digest(digest, key.digest)
        return known if matches and known is not None and self._is_valid(known.access.key) else None

    async def _access(self, key: ApiKey, known: _Verified | None) -> Access | None:
        now = self._clock()
        if known is not None and known.is_fresh(now):
            return known.access
        if now < (self._refused.find(key.digest) or 0.0):
            return None
        try:
            return await asyncio.shield(self._looking_up.get(key.digest) or self._begin_look_up(key))
        except StateUnavailable as error:
            if known is not None and now < known.since + self._settings.stale_seconds:
                return known.access
            raise Unavailable from error

    def _begin_look_up(self, key: ApiKey) -> asyncio.Task[Access | None]:
        """One look-up for all who wait for it; it goes on when they leave."""
        task = asyncio.create_task(self._look_up(key))
        self._looking_up[key.digest] = task
        task.add_done_callback(lambda task: self._looking_up.pop(key.digest))
        return task

    async def _look_up(self, key: ApiKey) -> Access | None:
        """Ask the directory, and keep the answer unless something has changed meanwhile."""
        changes, access = self._changes, await self._read(key)
        is_current, now = changes == self._changes, self._clock()
        if access is None:
            held = self._verified.get(key.id)
            if held is not None and hmac.compare_digest(held.access.key.digest, key.digest):
                del self._verified[key.id]
            if is_current:
                self._refused.keep(key.digest, now + self._settings.refused_seconds)
        elif is_current:
            self._verified.keep(key.id, _Verified(access, now, now + self._settings.fresh_seconds))
        return access

    async def _read(self, key: ApiKey) -> Access | None:
        if self._is_paused:
            raise StateUnavailable("the directory did not answer a moment ago")
        try:
            record = await self._directory.key(key.id)
            matches = hmac.compare_digest(NOBODY if record is None else record.digest, key.digest)
            if not matches or record is None or not self._is_valid(record):
                return None
            tenant = self._tenants.get(record.tenant) or await self._directory.tenant(record.tenant)
        except StateUnavailable as error:
            self._pause(error)
            raise
        return None if tenant is None else Access(tenant, record)

    def _is_valid(self, record: KeyRecord) -> bool:
        return record.revoked_at is None and (record.expires_at is None or self._clock() < record.expires_at)

    def _forget(self, tenant: str | None) -> None:
        """Forget what is known of ``tenant``; if any may have changed, look all keys up again."""
        self._changes += 1
        self._refused.clear()
        for id, known in list(self._verified.items()):
            if tenant is None:
                self._verified[id] = replace(known, fresh_until=0.0)
            elif known.access.tenant.name == tenant:
                del self._verified[id]

    def _note_use(self, record: KeyRecord) -> None:
        """Tell the directory that a key is used, once an hour, beside the request."""
        now = self._clock()
        hour = now - now % HOUR
        if hour <= max(self._noted.find(record.id) or 0.0, record.last_used_at or 0.0) or self._is_paused:
            return
        self._noted.keep(record.id, hour)
        task = asyncio.create_task(self._note(record.id, hour))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _note(self, id: str, hour: float) -> None:
        try:
            await self._directory.used(id, hour)
        except StateUnavailable as error:
            self._noted.pop(id, None)
            self._pause(error)

    @property
    def _is_paused(self) -> bool:
        return self._clock() < self._paused_until

    def _pause(self, error: StateUnavailable) -> None:
        logger.warning("the directory of keys does not answer, those that are known go on: %s", error)
        self._paused_until = self._clock() + self._settings.pause_seconds


def _parsed(text: str) -> ApiKey | None:
    try:
        return parse_key(text)
    except ValueError:
        return None
