"""The shipped access rule grants what a store uses, and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from redis.exceptions import MovedError, NoPermissionError, ResponseError

from deployments.state.acl import acl_rule, commands
from deployments.state.address import StateAddress
from deployments.state.client import Client
from deployments.state.keys import LEASES
from deployments.state.presence import Presence
from deployments.state.store import Change, Claim, RequestStore
from deployments.tenancy.ledger.redis import RedisLedger
from deployments.tenancy.limits.redis import RedisLimiter
from tests.deployments.state.conftest import PlaceOf
from tests.deployments.state.records import fresh_record
from tests.deployments.state.servers import Place
from tests.deployments.tenancy.directory.directories import use_directory
from tests.deployments.tenancy.ledger.entries import connected
from tests.deployments.tenancy.ledger.entries import use_all as use_all_of_ledger
from tests.deployments.tenancy.queue.gateways import enters, gateway
from tests.deployments.tenancy.queue.requests import Time, waiting

OWN = {"auth", "asking", "readonly"}
"""What a connection may always say, or says on its way through a cluster that changes."""

ASKED = {"config|resetstat", "info"}
"""What this test says itself."""


async def use_all(store: RequestStore) -> None:
    """Make every call, so that each script reaches each of its commands."""
    record = fresh_record()
    for _ in range(2):
        await store.create(record, plan=b"plan", lease_until=20.0)
    await store.write(record.key, 1, Change(now=11.0, entries=(b"a",), checkpoint=b"half", lease_until=20.0))
    await store.write(record.key, 1, Change(now=11.0, entries=(b"a",)))
    assert await store.expired(20.0, 9) == ()
    assert await store.expired(99.0, 9) == (record.key,)
    assert await store.acquire(record.key, "two", 21.0, 30.0) is not None
    assert await store.get(record.key) is not None
    assert await store.entries(record.key, 1, 0.01) == ()
    for _ in range(2):
        await store.write(record.key, 2, Change(now=12.0, status="completed"))
        await store.claim("acme", "token", Claim(record.id, "digest"))
    assert await store.claimed("acme", "token") == Claim(record.id, "digest")
    await store.settled(record.key)
    await store.send("one", "hello")
    assert await store.receive("one", 30.0) == ("hello",)
    assert await store.receive("one", 0.01) == ()
    assert await store.expired(99.0, 9) == ()
    assert await store.delete(record.key)
    assert await store.ping()


ON_REDIS = ["redis-single", "redis-cluster"]
PLACES = ["valkey-single", "valkey-cluster", *(pytest.param(name, marks=pytest.mark.full) for name in ON_REDIS)]


@pytest.mark.parametrize("name", PLACES)
async def test_the_commands_granted_are_those_issued(place_of: PlaceOf, name: str) -> None:
    place = place_of(name)
    place.flush()
    _with_a_stale_hint(place)
    issued: set[str] = set()
    admins = [server.admin() for server in place.servers]
    for admin in admins:
        admin.ping()
        admin.config_resetstat()
    store = place.connect()
    await use_all(store)
    await store.close()
    await use_directory(place)
    client = connected(place)
    await use_all_of_ledger(RedisLedger(client))
    await use_limits(client)
    await client.close()
    await use_queue(place)
    for admin in admins:
        issued |= {stat.removeprefix("cmdstat_") for stat in admin.info("commandstats")}
        admin.close()
    assert issued - OWN - ASKED == commands(place.address)


async def use_limits(client: Client) -> None:
    """Make every call of limits, and of a gateway that says that it is there."""
    await RedisLimiter(client, 15.0).check()
    presence = Presence(client, "one")
    await presence.announce()
    await presence.leave()


async def use_queue(place: Place) -> None:
    """Have requests wait, run, leave and end; and a gateway that goes."""
    time = Time()
    async with gateway(place, "one", lambda: 1, time) as one:
        first, second, third = waiting(), waiting("rival"), waiting()
        await one.turn(first)
        later = [await enters(one, each) for each in (second, third)]
        later[1].cancel()
        await one.end(first, 1)
        await asyncio.gather(*later, return_exceptions=True)
        await one.end(second, 1)
        taken_over = waiting()
        await one.resume(taken_over)
        await one.end(taken_over, 1)


def _with_a_stale_hint(place: Place) -> None:
    """Leave an entry in the index of leases that has no record."""
    for server in place.servers:
        with server.admin() as admin:
            admin.select(place.address.database)
            with suppress(MovedError):
                admin.zadd(LEASES, {'["acme", "gone"]': 1.0})


def test_the_user_may_touch_no_other_name(valkey: Place) -> None:
    address = valkey.address
    with valkey.servers[0].admin() as client:
        client.execute_command("AUTH", address.username, address.password)
        with pytest.raises(NoPermissionError):
            client.get("another")
        with pytest.raises(ResponseError, match="No permissions"):
            client.execute_command("EVAL", "return redis.call('GET', 'another')", 0)
        with pytest.raises(NoPermissionError):
            client.flushall()


def test_the_rule_hides_the_password_and_needs_one() -> None:
    rule = acl_rule(StateAddress.parse("redis://dllm:secret@host"))
    assert rule.startswith(
        "dllm reset on #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b ~dllm:* +del +eval "
    )
    for url in ("redis://host", "redis://:secret@host", "redis://dllm@host"):
        with pytest.raises(ValueError, match="user and a password"):
            acl_rule(StateAddress.parse(url))
