"""Tenants, clocks and clients for tests of limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from deployments.errors import ServingError
from deployments.state.client import CallSettings, Client
from deployments.state.connect import _client
from deployments.tenancy.limits.limiter import Charge, Levels, Limiter
from deployments.tenancy.tenant import Limits, Tenant
from tests.deployments.state.servers import Place

NOON = 1_795_348_800.0
"""Twelve o'clock of 2026-11-22, in Unix seconds."""

HOUR = 3600.0
DAY = 24 * HOUR
MIDNIGHT = NOON + DAY / 2
LEASE = 15.0

DECEMBER = MIDNIGHT + 8 * DAY

ONE = Charge(requests=1)


@dataclass
class Clock:
    """A clock that is set by hand."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


def tenant(**limits: int | None) -> Tenant:
    """``acme`` with these limits."""
    return Tenant("acme", limits=Limits(**limits))


def connected(place: Place) -> Client:
    """A client with the patience of a busy machine."""
    return _client(place.address, CallSettings(timeout_seconds=20.0))


async def until(holds: Callable[[], bool]) -> None:
    """Let others run until it holds."""
    while not holds():  # noqa: ASYNC110 - nobody tells when
        await asyncio.sleep(0)


async def remaining(limiter: Limiter, tenant: Tenant) -> dict[str, int]:
    """What is left of each limit."""
    return left(await limiter.levels(tenant.name, tenant.limits))


def left(levels: Levels) -> dict[str, int]:
    """The same, of levels that were told."""
    return {name: level.remaining for name, level in levels.by_limit.items()}


async def refused(
    limiter: Limiter, tenant: Tenant, charge: Charge = ONE, concurrency: int = 1, id: str = "refused"
) -> ServingError:
    """What a reservation is refused with, which changes nothing."""
    before = await limiter.levels(tenant.name, tenant.limits)
    with pytest.raises(ServingError) as raised:
        await limiter.reserve(tenant, id, charge, concurrency)
    assert await limiter.levels(tenant.name, tenant.limits) == before
    return raised.value
