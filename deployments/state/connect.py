"""From the URL of the state to a store."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ConstantBackoff

from deployments.state.address import StateAddress
from deployments.state.redis import RedisStore
from deployments.state.store import RequestStore

TIMEOUT_SECONDS = 0.5
"""For a connection, and for an answer. The client library's own settings may hold a call for 50 s."""

RETRIES = 1
RETRY_WAIT_SECONDS = 0.02


def connect(url: str, ttl_seconds: int) -> RequestStore:
    """The store at ``url`` (:mod:`deployments.state.address`). Connections are made when they are needed."""
    address = StateAddress.parse(url)
    transport = _transport(address)
    settings = transport | {"username": address.username, "password": address.password, "db": address.database}
    if address.topology == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        return RedisStore(RedisCluster(startup_nodes=nodes, **settings), ttl_seconds)
    if address.topology == "sentinel":
        sentinel = Sentinel(address.hosts, sentinel_kwargs=transport, **settings)  # type: ignore[no-untyped-call]
        return RedisStore(sentinel.master_for(address.primary), ttl_seconds, sentinel.sentinels)
    ((host, port),) = address.hosts
    return RedisStore(Redis(host=host, port=port, **settings), ttl_seconds)


def _transport(address: StateAddress) -> dict[str, Any]:
    return {
        "ssl": address.tls,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry": Retry(ConstantBackoff(RETRY_WAIT_SECONDS), RETRIES),
    }
