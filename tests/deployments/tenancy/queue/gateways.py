"""Gateways that share a queue on a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from deployments.state.client import BLOCK_SECONDS, CallSettings, Clients
from deployments.state.connect import _client
from deployments.telemetry.metrics import MemoryMetrics
from deployments.tenancy.queue.queue import FairQueue, QueueState, Waiting
from deployments.tenancy.queue.redis import RedisQueue
from tests.deployments.state.servers import Place
from tests.deployments.tenancy.queue.requests import Time, settle

LEASE = 15.0
MODEL = "tiny:all"
LABELS = ("tiny", MODEL)
PATIENT_SECONDS = 20.0


def connected(place: Place, timeout_seconds: float = PATIENT_SECONDS) -> Clients:
    """Clients with the patience of a busy machine."""
    settings = CallSettings(timeout_seconds)
    following = CallSettings(timeout_seconds + BLOCK_SECONDS, places=512)
    return Clients(*(_client(place.address, each) for each in (settings, settings, following)))


@asynccontextmanager
async def gateway(
    place: Place,
    owner: str,
    places: Callable[[], int],
    time: Time,
    metrics: MemoryMetrics | None = None,
    *,
    timeout_seconds: float = PATIENT_SECONDS,
) -> AsyncIterator[RedisQueue]:
    """One gateway's queue, served until the end."""
    clients = connected(place, timeout_seconds)
    queue = RedisQueue(clients, MODEL, owner, places, time, metrics or MemoryMetrics(), LEASE, sleep=time.sleep)
    try:
        async with served(queue):
            yield queue
            queue.check_integrity()
    finally:
        await clients.close()


@asynccontextmanager
async def served(queue: FairQueue) -> AsyncIterator[None]:
    """Until the end."""
    serving = asyncio.create_task(queue.serve())
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def enters(queue: FairQueue, request: Waiting) -> asyncio.Task[None]:
    """The turn of a request that the queue has heard of."""
    before = await queue.state()
    turn = asyncio.create_task(queue.turn(request))
    known = before.running + sum(before.waiting.values())
    await until(queue, lambda state: turn.done() or state.running + sum(state.waiting.values()) > known)
    return turn


async def until(queue: FairQueue, holds: Callable[[QueueState], object]) -> None:
    """Ask the queue until it holds what it should."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while not holds(await queue.state()):
            await settle()


async def soon(event: Awaitable[object]) -> None:
    """Wait for what is about to happen."""
    async with asyncio.timeout(PATIENT_SECONDS):
        await event
