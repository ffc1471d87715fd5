"""What only a directory on a server can show: data that is lost, servers that fail, entries of other versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis

from deployments.state.store import StateError, StateUnavailable
from deployments.tenancy.directory import redis as names
from deployments.tenancy.directory.bounds import CHANGES
from deployments.tenancy.directory.redis import RedisDirectory, members_key
from tests.deployments.state.servers import Place
from tests.deployments.tenancy.directory.directories import ACME, BRAVO, directory_at, following, key_of


@pytest.fixture
async def directory(valkey: Place) -> AsyncIterator[RedisDirectory]:
    async with directory_at(valkey) as directory:
        yield directory


@pytest.fixture
def admin(valkey: Place) -> Iterator[Redis]:
    """A client that may look at everything."""
    with Redis(port=valkey.servers[0].port, db=1) as client:
        yield client


async def test_followers_are_told_when_all_is_lost(directory: RedisDirectory, admin: Redis) -> None:
    await directory.put_tenant(ACME)
    async with following(directory) as changes:
        admin.flushdb()
        assert await anext(changes) is None
        await directory.put_tenant(BRAVO)
        assert await anext(changes) == "bravo"


async def test_what_was_lost_is_not_hidden_by_what_came_after_it(directory: RedisDirectory, admin: Redis) -> None:
    await directory.put_tenant(ACME)
    async with following(directory) as changes:
        with admin.pipeline() as both:
            both.flushdb()
            both.xadd(names.STREAM, {"after": "0-0", "tenant": "bravo"})
            both.execute()
        assert await anext(changes) is None


async def test_a_follower_goes_on_when_the_server_answers_again(
    directory: RedisDirectory, valkey: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(directory) as changes:
        valkey.servers[0].say("ACL", "SETUSER", "dllm", "-xread")
        try:
            waiting = asyncio.ensure_future(anext(changes))
            async with asyncio.timeout(60):
                while "are not heard of" not in caplog.text:
                    await directory.put_tenant(ACME)
                    await directory.remove_tenant("acme")
        finally:
            valkey.servers[0].say("ACL", "SETUSER", "dllm", "+xread")
        assert await waiting is None
        # The reader may have begun anew before the last of those changes.
        await directory.put_tenant(BRAVO)
        async with asyncio.timeout(60):
            while await anext(changes) != "bravo":
                pass


async def test_entries_of_another_version_are_refused_by_name(directory: RedisDirectory, admin: Redis) -> None:
    await directory.put_tenant(ACME)
    await directory.put_key(key_of("acme", "k"))
    for name, field in ((names.TENANTS, "acme"), (names.KEYS, "k")):
        text = admin.hget(name, field)
        assert isinstance(text, bytes)
        admin.hset(name, field, text.replace(b'"schema_version":1', b'"schema_version":9'))
    for read in (directory.tenant("acme"), directory.tenants(), directory.key("k"), directory.keys("acme")):
        with pytest.raises(StateError, match="schema version 9 cannot be read"):
            await read


async def test_a_server_that_refuses_is_reported_as_unavailable(directory: RedisDirectory, valkey: Place) -> None:
    valkey.servers[0].say("ACL", "SETUSER", "dllm", "-eval")
    try:
        for call in (directory.key("k"), directory.put_tenant(ACME), directory.used("k", 1.0)):
            with pytest.raises(StateUnavailable):
                await call
    finally:
        valkey.servers[0].say("ACL", "SETUSER", "dllm", "+eval")


async def test_the_changes_that_are_kept_are_bounded(directory: RedisDirectory, admin: Redis) -> None:
    for round_ in range(CHANGES // 2 + 5):
        await directory.put_tenant(ACME)
        await directory.remove_tenant("acme")
        assert round_ or admin.xlen(names.STREAM) == 2
    assert admin.xlen(names.STREAM) == CHANGES


async def test_nothing_is_left_of_a_tenant_that_is_removed(directory: RedisDirectory, admin: Redis) -> None:
    await directory.put_tenant(ACME)
    await directory.put_key(key_of("acme", "k", last_used_at=3600.0))
    assert set(admin.keys()) == {
        name.encode() for name in (names.TENANTS, names.KEYS, names.USES, names.STREAM, members_key("acme"))
    }
    await directory.remove_tenant("acme")
    assert set(admin.keys()) == {names.STREAM.encode()}
