"""What only a ledger on a server can show: its names, how long it keeps them, how much room it takes, and its loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.crc import key_slot

from cluster.valkey import free_port
from deployments.state.acl import commands
from deployments.state.client import CallSettings, Client
from deployments.state.store import StateUnavailable
from deployments.tenancy.ledger.redis import DAY_SECONDS, ENTRIES_PER_PAGE, RedisLedger
from tests.deployments.state.servers import Place
from tests.deployments.tenancy.ledger.entries import DAY, HOUR, NOON, connected, entry, use_all

RETENTION_DAYS = 40
BYTES_PER_ENTRY = 400


@pytest.fixture
async def ledger(valkey: Place) -> AsyncIterator[RedisLedger]:
    client = connected(valkey)
    yield RedisLedger(client, RETENTION_DAYS)
    await client.close()


@pytest.fixture
def admin(valkey: Place) -> Iterator[Redis]:
    """A client that may look at everything."""
    with Redis(port=valkey.servers[0].port, db=1) as client:
        yield client


async def test_all_names_of_a_tenant_share_a_slot_and_expire_when_the_retention_is_over(
    ledger: RedisLedger, admin: Redis
) -> None:
    await ledger.enter(entry(created_at=NOON - 24 * HOUR))
    await ledger.enter(entry("cmpl-2", ended_at=NOON + 24 * HOUR))
    names = [name for name in admin.scan_iter() if isinstance(name, bytes)]
    assert sorted(names) == [
        b"dllm:{acme}:ledger:2026-11-21:ids",
        b"dllm:{acme}:ledger:2026-11-22:entries",
        b"dllm:{acme}:ledger:2026-11-22:ids",
        b"dllm:{acme}:ledger:2026-11-22:sums",
        b"dllm:{acme}:ledger:2026-11-23:entries",
        b"dllm:{acme}:ledger:2026-11-23:sums",
    ]
    assert len({key_slot(name) for name in names}) == 1
    for name in names:
        assert RETENTION_DAYS * DAY_SECONDS < admin.ttl(name) <= (RETENTION_DAYS + 1) * DAY_SECONDS


async def test_a_repeated_entry_does_not_prolong_anything(ledger: RedisLedger, admin: Redis) -> None:
    await ledger.enter(entry())
    admin.expire(f"dllm:{{acme}}:ledger:{DAY}:sums", 5)
    await ledger.enter(entry())
    assert admin.ttl(f"dllm:{{acme}}:ledger:{DAY}:sums") <= 5


async def test_an_entry_takes_little_room(ledger: RedisLedger, admin: Redis) -> None:
    number = 500
    for index in range(number):
        tokens = 100 + index
        id = f"chatcmpl-01JD9{index:021d}"
        await ledger.enter(
            entry(id, created_at=NOON + index / 7, completion_tokens=tokens, position_forwards=9 * tokens)
        )
    taken = sum(admin.memory_usage(name, samples=0) or 0 for name in admin.scan_iter())
    assert taken / number < BYTES_PER_ENTRY


async def test_no_answer_holds_more_than_a_page(ledger: RedisLedger, admin: Redis) -> None:
    for index in range(ENTRIES_PER_PAGE + 1):
        await ledger.enter(entry(f"{index}"))
    entries = ledger.entries("acme", DAY, DAY)
    admin.config_resetstat()
    assert (await anext(entries)).id == "0"
    assert admin.info("commandstats")["cmdstat_xrange"]["calls"] == 1
    assert len([each async for each in entries]) == ENTRIES_PER_PAGE
    assert admin.info("commandstats")["cmdstat_xrange"]["calls"] == 2


async def test_the_commands_granted_cover_those_issued(ledger: RedisLedger, admin: Redis, valkey: Place) -> None:
    admin.config_resetstat()
    await use_all(ledger)
    issued = {stat.removeprefix("cmdstat_") for stat in admin.info("commandstats")}
    assert {"eval", "sadd", "hincrby", "xadd", "xrange", "hgetall", "expire"} <= issued
    assert issued - {"config|resetstat", "info", "auth"} <= commands(valkey.address)


async def test_many_gateways_enter_each_request_once(valkey: Place) -> None:
    clients = [connected(valkey) for _ in range(4)]
    ledgers = [RedisLedger(client) for client in clients]
    entries = [entry(f"{number}") for number in range(50)]
    new = await asyncio.gather(*(ledger.enter(each) for ledger in ledgers for each in entries))
    assert sum(new) == len(entries)
    (row,) = await ledgers[0].usage("acme", DAY, DAY)
    assert (row.requests, row.work) == (len(entries), sum(each.work for each in entries))
    for client in clients:
        await client.close()


async def test_a_lost_server_is_told() -> None:
    settings = CallSettings(timeout_seconds=0.2, retries=0)
    client = Client(AsyncRedis(port=free_port()), settings)
    ledger = RedisLedger(client)
    with pytest.raises(StateUnavailable):
        await ledger.enter(entry())
    with pytest.raises(StateUnavailable):
        await ledger.usage("acme", DAY, DAY)
    with pytest.raises(StateUnavailable):
        await anext(ledger.entries("acme", DAY, DAY))
    await client.close()
