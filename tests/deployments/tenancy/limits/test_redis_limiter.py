"""What only limits on a server can show: their names, how long it keeps them, its time, its refusals and its loss."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.crc import key_slot

from cluster.valkey import free_port
from deployments.errors import ConcurrencyExceeded
from deployments.state.acl import commands
from deployments.state.address import StateAddress
from deployments.state.client import CallSettings, Client
from deployments.state.connect import _client
from deployments.state.store import StateError, StateUnavailable
from deployments.tenancy.limits.bounds import COUNTS_SECONDS, KEEP_SECONDS
from deployments.tenancy.limits.limiter import Charge
from deployments.tenancy.limits.redis import RENEWED_AT_ONCE, RedisLimiter
from tests.deployments.state.servers import Place
from tests.deployments.tenancy.limits.limiters import LEASE, Clock, connected, remaining, tenant

ACME = tenant(requests_per_minute=1000, work_per_minute=10_000, concurrency=400, work_per_day=10**6)
WORK = Charge(requests=1, work=5)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def limiter(valkey: Place, clock: Clock) -> AsyncIterator[RedisLimiter]:
    client = connected(valkey)
    yield RedisLimiter(client, LEASE, clock)
    await client.close()


@pytest.fixture
def admin(valkey: Place) -> Iterator[Redis]:
    """A client that may look at everything."""
    with Redis(port=valkey.servers[0].port, db=1) as client:
        yield client


def names(admin: Redis) -> list[str]:
    return sorted(name.decode() for name in admin.scan_iter())


async def test_keys_share_a_cluster_slot(limiter: RedisLimiter, admin: Redis) -> None:
    await limiter.reserve(ACME, "req_1", WORK)
    assert names(admin) == [
        "dllm:{acme}:limits",
        "dllm:{acme}:limits:of:req_1",
        "dllm:{acme}:limits:places",
    ]
    assert len({key_slot(name.encode()) for name in names(admin)}) == 1


async def test_nothing_is_left_of_a_settled_reservation(limiter: RedisLimiter, admin: Redis) -> None:
    await limiter.reserve(ACME, "req_1", WORK, concurrency=3)
    await limiter.settle("acme", "req_1", WORK)
    assert names(admin) == ["dllm:{acme}:limits"]


async def test_everything_expires(limiter: RedisLimiter, admin: Redis) -> None:
    await limiter.reserve(ACME, "req_1", WORK)
    counts, reservation, places = names(admin)
    for name, seconds in ((counts, COUNTS_SECONDS), (places, COUNTS_SECONDS), (reservation, KEEP_SECONDS)):
        assert seconds - 60 < admin.ttl(name) <= seconds
        admin.expire(name, 100)
    await limiter.renew([("acme", "req_1")])
    for name, seconds in ((counts, COUNTS_SECONDS), (places, COUNTS_SECONDS), (reservation, KEEP_SECONDS)):
        assert seconds - 60 < admin.ttl(name) <= seconds


async def test_looking_leaves_nothing_behind(limiter: RedisLimiter, admin: Redis) -> None:
    await limiter.levels("acme", ACME.limits)
    await limiter.renew([("acme", "unknown")])
    await limiter.settle("acme", "unknown", WORK)
    for number in range(2):
        await limiter.reserve(tenant(concurrency=2), f"r{number}", WORK)
    with pytest.raises(ConcurrencyExceeded):
        await limiter.reserve(tenant(concurrency=2), "r2", WORK)
    for number in range(2):
        await limiter.settle("acme", f"r{number}", WORK)
    assert names(admin) == ["dllm:{acme}:limits"]


async def test_many_reservations_are_renewed_in_several_calls(
    limiter: RedisLimiter, clock: Clock, admin: Redis
) -> None:
    running = [("acme", f"r{number}") for number in range(RENEWED_AT_ONCE + 1)]
    for tenant_name, id in running:
        assert tenant_name == "acme"
        await limiter.reserve(ACME, id, WORK)
    clock.now += LEASE - 1
    admin.config_resetstat()
    await limiter.renew(running)
    assert admin.info("commandstats")["cmdstat_eval"]["calls"] == 2
    clock.now += LEASE - 1
    assert (await remaining(limiter, ACME))["concurrency"] == 400 - len(running)


async def test_the_time_is_the_servers(valkey: Place, admin: Redis) -> None:
    client = connected(valkey)
    limiter = RedisLimiter(client, LEASE)
    await limiter.reserve(ACME, "req_1", WORK)
    seconds, _ = valkey.servers[0].say("TIME")
    end = admin.zscore("dllm:{acme}:limits:places", "1:req_1") or 0.0
    assert abs(end / 1000 - LEASE - seconds) < 60
    await client.close()


async def test_the_commands_granted_are_enough_for_all_calls(
    limiter: RedisLimiter, admin: Redis, valkey: Place
) -> None:
    admin.config_resetstat()
    await limiter.check()
    await RedisLimiter(limiter._client, LEASE).check()
    issued = {stat.removeprefix("cmdstat_") for stat in admin.info("commandstats")}
    assert {"eval", "time", "hset", "hget", "hgetall", "zadd", "zcard", "zrem", "zremrangebyscore", "del"} <= issued
    assert issued - {"config|resetstat", "info", "auth"} <= commands(valkey.address)


@pytest.mark.parametrize("forbidden", ["eval", "zremrangebyscore", "time", "expire", "zadd", "zrem", "del", "exists"])
async def test_blocked_script_is_loud(valkey: Place, forbidden: str) -> None:
    valkey.servers[0].say("ACL", "SETUSER", "blocked", "on", ">secret", "~dllm:*", "+@all", f"-{forbidden}")
    redis = AsyncRedis(port=valkey.servers[0].port, username="blocked", password="secret")
    client = Client(redis, CallSettings(timeout_seconds=20.0))
    with pytest.raises(StateError, match=r"refuses the scripts that count limits.* permissions") as raised:
        await RedisLimiter(client, LEASE).check()
    assert raised.type is StateError
    await client.close()
    valkey.servers[0].say("ACL", "DELUSER", "blocked")


async def test_a_lost_server_is_told() -> None:
    address = StateAddress.parse(f"redis://127.0.0.1:{free_port()}")
    client = _client(address, CallSettings(timeout_seconds=0.2, retries=0))
    limiter = RedisLimiter(client, LEASE)
    calls = (
        limiter.check(),
        limiter.reserve(ACME, "r", WORK),
        limiter.renew([("acme", "r")]),
        limiter.settle("acme", "r", WORK),
        limiter.levels("acme", ACME.limits),
    )
    for call in calls:
        with pytest.raises(StateUnavailable):
            await call
    await client.close()
