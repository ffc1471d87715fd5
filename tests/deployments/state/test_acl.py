"""The shipped access rule grants what a store uses, and nothing else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from redis.exceptions import MovedError, NoPermissionError, ResponseError

from deployments.state.acl import acl_rule, commands
from deployments.state.address import StateAddress
from deployments.state.keys import LEASES
from deployments.state.store import Change, Claim, RequestStore
from tests.deployments.state.conftest import PlaceOf
from tests.deployments.state.records import fresh_record
from tests.deployments.state.servers import Place

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
    for admin in admins:
        issued |= {stat.removeprefix("cmdstat_") for stat in admin.info("commandstats")}
        admin.close()
    assert issued - OWN - ASKED == commands(place.address)


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
