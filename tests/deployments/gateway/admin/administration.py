"""The operator's application over what gateways share, in memory, with a clock that stands until it is moved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from random import Random

import httpx
from fastapi import FastAPI

from deployments.autoscaling.journal import MemorySegments
from deployments.gateway.admin.app import create_admin_app
from deployments.gateway.shared import Shared
from deployments.state.memory import MemoryStore
from deployments.telemetry.collection import Collection
from deployments.telemetry.metrics import MemoryMetrics
from deployments.telemetry.targets import MemoryTargets
from deployments.tenancy.directory.directory import Declared
from deployments.tenancy.directory.memory import MemoryDirectory
from deployments.tenancy.keys import make_key, parse_key
from deployments.tenancy.ledger.memory import MemoryLedger
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.queue.local import LocalQueue
from deployments.tenancy.tenant import KeyRecord, Limits, Tenant

NOW = 1_700_000_000.0  # 2023-11-14
ADMIN_KEY = "the-admin-key-of-this-test"
DECLARED = Tenant("declared", declared=True)
ACME = Tenant("acme", limits=Limits(requests_per_minute=60, work_per_minute=6000, work_per_day=9000, concurrency=2))
_drawn = Random(11)


def new_key(seed: int) -> str:
    """A well-formed key, one for each seed."""
    return make_key("dev", Random(seed).randbytes)


DECLARED_KEY = new_key(1)


@dataclass(slots=True)
class Place:
    """What gateways share, and the operator's application over it."""

    now: float = NOW
    shared: Shared = field(init=False)
    declared: Declared = field(init=False)
    targets: MemoryTargets = field(default_factory=MemoryTargets)
    segments: MemorySegments = field(default_factory=MemorySegments)
    app: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        key = parse_key(DECLARED_KEY)
        record = KeyRecord(key.id, DECLARED.name, key.digest, NOW, declared=True)
        self.declared = Declared((DECLARED,), (record,))
        queue = LocalQueue("tiny:all", lambda: 1, self.clock, MemoryMetrics())
        self.shared = Shared(
            MemoryStore(),
            MemoryDirectory(replace(self.declared, tenants=(DECLARED, ACME))),
            MemoryLimiter(self.clock, 15.0),
            MemoryLedger(),
            {"tiny:all": queue},
        )
        self.app = create_admin_app(
            self.shared, Collection(self.targets), self.segments, digest(ADMIN_KEY), self.clock, _drawn.randbytes
        )

    def clock(self) -> float:
        return self.now


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def operator(app: FastAPI, key: str = ADMIN_KEY) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://admin/admin/v1",
        headers={"authorization": f"Bearer {key}"},
    )


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]
