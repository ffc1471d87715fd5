"""A verifier whose directory and clock the test has in its hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from deployments.errors import ServingError
from deployments.state.store import StateUnavailable
from deployments.tenancy.directory.directory import Declared
from deployments.tenancy.directory.memory import MemoryDirectory
from deployments.tenancy.keys import digest_of, make_key, parse_key
from deployments.tenancy.tenant import Access, KeyRecord, Tenant
from deployments.tenancy.verification import VerificationSettings, Verifier

NOW = 1_700_000_000.0
HERE = "192.0.2.1"
ACME, BRAVO = Tenant("acme"), Tenant("bravo", models=("tiny",))
SETTINGS = VerificationSettings()


def key_number(number: int) -> str:
    return make_key("test", lambda count: number.to_bytes(count, "big"))


KEY, OTHER, UNKNOWN = (key_number(number) for number in (1, 2, 3))
FORGED = make_key("test", lambda count: (1 if count == 8 else 9).to_bytes(count, "big"))
"""A well-formed key with the id of ``KEY`` and another secret."""


def record(key: str, tenant: str = "acme", **changes: object) -> KeyRecord:
    return replace(KeyRecord(parse_key(key).id, tenant, digest_of(key), NOW), **changes)  # type: ignore[arg-type]


class Clock:
    """Time passes when the test says so."""

    now = NOW

    def __call__(self) -> float:
        return self.now


class Watched(MemoryDirectory):
    """Notes who is looked up and used. It fails while it is ``down``, and waits for ``gate``."""

    def __init__(self, *keys: KeyRecord) -> None:
        super().__init__(Declared((ACME, BRAVO), keys))
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[str] = []
        self.uses: list[tuple[str, float]] = []

    def _fail(self) -> None:
        if self.down:
            raise StateUnavailable("the store is down")

    async def key(self, id: str) -> KeyRecord | None:
        self.asked.append(id)
        self._fail()
        found = await super().key(id)
        await self.gate.wait()
        return found

    async def tenant(self, name: str) -> Tenant | None:
        self.asked.append(name)
        self._fail()
        return await super().tenant(name)

    async def used(self, id: str, hour: float) -> None:
        self.uses.append((id, hour))
        self._fail()
        await super().used(id, hour)


class Bench:
    """A verifier over a watched directory, with a clock."""

    def __init__(
        self, *keys: KeyRecord, declared: Declared | None = None, settings: VerificationSettings | None = None
    ) -> None:
        self.clock = Clock()
        self.directory = Watched(*keys)
        self.verifier = Verifier(self.directory, declared or Declared(), self.clock, settings)

    async def verify(self, key: str = KEY, address: str = HERE) -> Access:
        return await self.verifier.verify(f"Bearer {key}", address)

    async def outcome(self, key: str = KEY, address: str = HERE) -> str:
        """The tenant, or the code of the refusal."""
        try:
            return (await self.verify(key, address)).tenant.name
        except ServingError as error:
            return error.code

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """The verifier hears of changes."""
        service = asyncio.create_task(self.verifier.serve())
        await settled()
        try:
            yield
        finally:
            service.cancel()
            await asyncio.gather(service, return_exceptions=True)


async def settled() -> None:
    """Everything that can go on has done so."""
    for _ in range(20):
        await asyncio.sleep(0)
