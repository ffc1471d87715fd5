"""What gateways share, on a server that speaks the Redis protocol, and what keeps each gateway's part of it alive."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from deployments.gateway.app import Service
from deployments.gateway.shared import Shared, queue_name
from deployments.state.bounds import Bounds
from deployments.state.presence import Presence
from deployments.state.redis import RedisStore
from deployments.state.store import StateUnavailable
from deployments.tenancy.directory.redis import RedisDirectory
from deployments.tenancy.ledger.redis import RedisLedger
from deployments.tenancy.limits.guarded import GuardedLimiter
from deployments.tenancy.limits.redis import RedisLimiter
from deployments.tenancy.queue.redis import RedisQueue

if TYPE_CHECKING:
    from deployments.config import ClusterConfig
    from deployments.gateway.model import Model
    from deployments.state.client import Clients
    from deployments.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backing:
    """``services`` keep a gateway's part of what is ``shared`` alive. ``check`` raises
    :class:`deployments.state.store.StateError` when the server refuses what limits are counted by.
    """

    shared: Shared
    services: tuple[Service, ...]
    check: Service


def shared_on(
    clients: Clients,
    config: ClusterConfig,
    models: Mapping[str, Model],
    owner: str,
    metrics: Metrics,
) -> Backing:
    """What the gateway ``owner`` has in common with the others."""
    lease = config.state.lease_seconds
    directory = RedisDirectory(clients.admission, clients.followers)
    presence = Presence(clients.state, owner)
    counted = RedisLimiter(clients.admission, lease)
    limiter = GuardedLimiter(
        counted,
        lambda: presence.count,
        time.time,
        config.limits.without_state,
        metrics,
        lease,
    )
    queues = {
        queue_name(id, each): RedisQueue(
            clients, queue_name(id, each), owner, partial(model.pool.places, each), time.time, metrics, lease
        )
        for id, model in models.items()
        for each in model.pool.canvas_classes
    }
    store = RedisStore(clients, config.state.ttl_seconds, Bounds())
    shared = Shared(store, directory, limiter, RedisLedger(clients.state), queues)
    services: tuple[Service, ...] = (
        presence.serve,
        limiter.serve,
        *(queue.serve for queue in queues.values()),
    )
    return Backing(shared, services, partial(_check, counted))


async def _check(limiter: RedisLimiter) -> None:
    try:
        await limiter.check()
    except StateUnavailable as error:
        logger.warning("the state store does not answer yet: %s", error)
