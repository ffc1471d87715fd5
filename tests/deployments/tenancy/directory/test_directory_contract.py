"""What every directory keeps to, on the twin in memory and on real servers, there as a user who may do no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from deployments.state.store import Missing, StateError
from deployments.tenancy.directory.bounds import CHANGES
from deployments.tenancy.directory.directory import Directory
from deployments.tenancy.directory.memory import MemoryDirectory
from deployments.tenancy.tenant import Limits, Tenant
from tests.deployments.state.conftest import PlaceOf
from tests.deployments.tenancy.directory.directories import ACME, BRAVO, directory_at, following, key_of

DIRECTORIES = ["memory", "valkey-single", "valkey-sentinel", "valkey-cluster"]
REDIS = ["redis-single", "redis-sentinel", "redis-cluster"]


@pytest.fixture(params=[*DIRECTORIES, *(pytest.param(name, marks=pytest.mark.full) for name in REDIS)])
async def directory(request: pytest.FixtureRequest, place_of: PlaceOf) -> AsyncIterator[Directory]:
    if request.param == "memory":
        yield MemoryDirectory()
        return
    place = place_of(request.param)
    place.flush()
    async with directory_at(place) as directory:
        yield directory


async def test_what_is_put_is_found_whole(directory: Directory) -> None:
    key = key_of(
        "acme",
        "ABCD1234",
        name="ci",
        scopes=("generate",),
        models=("tiny",),
        expires_at=2000.5,
        revoked_at=1500.25,
        last_used_at=3600.0,
        declared=True,
    )
    await directory.put_tenant(ACME)
    await directory.put_tenant(BRAVO)
    await directory.put_key(key)
    await directory.put_key(key_of("bravo", "EFGH5678"))
    assert [await directory.tenant(name) for name in ("acme", "bravo", "nobody")] == [ACME, BRAVO, None]
    assert await directory.key("ABCD1234") == key
    assert await directory.key("EFGH5678") == key_of("bravo", "EFGH5678")
    assert await directory.key("absent00") is None


async def test_tenants_come_by_name_and_keys_by_age(directory: Directory) -> None:
    for name in ("bravo", "acme", "Zulu"):
        await directory.put_tenant(Tenant(name))
    for id, created_at in (("new", 30.0), ("b", 10.0), ("a", 10.0), ("old", 5.0)):
        await directory.put_key(key_of("acme", id, created_at=created_at))
    await directory.put_key(key_of("bravo", "other"))
    assert [tenant.name for tenant in await directory.tenants()] == ["Zulu", "acme", "bravo"]
    assert [key.id for key in await directory.keys("acme")] == ["old", "a", "b", "new"]
    assert await directory.keys("nobody") == []


async def test_a_put_replaces_what_is_there(directory: Directory) -> None:
    await directory.put_tenant(ACME)
    await directory.put_tenant(replace(ACME, limits=Limits(concurrency=3), models=None))
    await directory.put_key(key_of("acme", "k"))
    await directory.put_key(key_of("acme", "k", revoked_at=7.0))
    assert await directory.tenants() == [replace(ACME, limits=Limits(concurrency=3), models=None)]
    assert await directory.keys("acme") == [key_of("acme", "k", revoked_at=7.0)]


async def test_a_key_needs_its_tenant_and_stays_with_it(directory: Directory) -> None:
    await directory.put_tenant(ACME)
    await directory.put_tenant(BRAVO)
    await directory.put_key(key_of("acme", "k"))
    with pytest.raises(Missing, match="nobody"):
        await directory.put_key(key_of("nobody", "x"))
    with pytest.raises(StateError, match="k: the id is taken"):
        await directory.put_key(key_of("bravo", "k"))
    assert await directory.key("x") is None
    assert (await directory.keys("bravo"), await directory.keys("acme")) == ([], [key_of("acme", "k")])


async def test_a_tenant_goes_with_its_keys_and_no_others(directory: Directory) -> None:
    for tenant in (ACME, BRAVO):
        await directory.put_tenant(tenant)
    for name, id in (("acme", "a"), ("acme", "b"), ("bravo", "c")):
        await directory.put_key(key_of(name, id, last_used_at=3600.0))
    assert await directory.remove_tenant("acme")
    assert not await directory.remove_tenant("acme")
    assert await directory.tenants() == [BRAVO]
    assert [await directory.key(id) for id in "abc"] == [None, None, key_of("bravo", "c", last_used_at=3600.0)]
    await directory.put_tenant(ACME)
    assert await directory.keys("acme") == []
    await directory.put_key(key_of("acme", "a"))
    assert await directory.keys("acme") == [key_of("acme", "a")]


async def test_a_key_is_removed_alone(directory: Directory) -> None:
    await directory.put_tenant(ACME)
    for id in "ab":
        await directory.put_key(key_of("acme", id, last_used_at=3600.0))
    assert await directory.remove_key("a")
    assert not await directory.remove_key("a")
    assert await directory.keys("acme") == [key_of("acme", "b", last_used_at=3600.0)]
    await directory.put_key(key_of("acme", "a"))
    assert await directory.key("a") == key_of("acme", "a")


async def test_the_last_use_never_goes_back(directory: Directory) -> None:
    await directory.put_tenant(ACME)
    await directory.put_key(key_of("acme", "k"))
    for hour, latest in ((7200.0, 7200.0), (3600.0, 7200.0), (1.8e9, 1.8e9)):
        await directory.used("k", hour)
        assert await directory.key("k") == key_of("acme", "k", last_used_at=latest)
    await directory.put_key(key_of("acme", "k", name="new", last_used_at=3600.0))
    await directory.used("absent", 3600.0)
    assert await directory.keys("acme") == [key_of("acme", "k", name="new", last_used_at=1.8e9)]
    assert await directory.key("absent") is None


async def test_a_revoked_key_stays_revoked_whatever_is_put_after_it(directory: Directory) -> None:
    await directory.put_tenant(Tenant("acme"))
    await directory.put_key(key_of("acme", "k", revoked_at=1795324570.3502982))
    await directory.put_key(key_of("acme", "k", name="rotated at the same time", expires_at=2e9))
    held = await directory.key("k")
    assert held == key_of("acme", "k", name="rotated at the same time", expires_at=2e9, revoked_at=1795324570.3502982)


async def test_every_follower_is_told_of_every_change_in_order(directory: Directory) -> None:
    await directory.put_tenant(Tenant("before"))
    async with following(directory) as one, following(directory) as two:
        await directory.put_tenant(ACME)
        await directory.put_tenant(BRAVO)
        await directory.put_key(key_of("bravo", "k"))
        await directory.put_key(key_of("bravo", "k", revoked_at=7.0))
        await directory.remove_key("k")
        await directory.remove_tenant("acme")
        told = ["acme", "bravo", "bravo", "bravo", "bravo", "acme"]
        for changes in (one, two):
            assert [await anext(changes) for _ in told] == told


async def test_a_follower_waits_for_what_comes(directory: Directory) -> None:
    async with following(directory) as changes:
        waiting = asyncio.ensure_future(anext(changes))
        await directory.put_tenant(ACME)
        assert await waiting == "acme"


async def test_what_changes_nothing_is_no_change(directory: Directory) -> None:
    for tenant in (ACME, BRAVO):
        await directory.put_tenant(tenant)
    await directory.put_key(key_of("acme", "k"))
    async with following(directory) as changes:
        await directory.put_tenant(ACME)
        await directory.put_key(key_of("acme", "k"))
        await directory.put_key(key_of("acme", "k", last_used_at=3600.0))
        await directory.used("k", 7200.0)
        await directory.remove_key("absent")
        await directory.remove_tenant("absent")
        with pytest.raises(StateError):
            await directory.put_key(key_of("bravo", "k"))
        await directory.put_tenant(replace(BRAVO, weight=2.0))
        assert await anext(changes) == "bravo"


async def test_who_is_too_far_behind_is_told_so(directory: Directory) -> None:
    async with following(directory) as changes:
        for weight in range(1, CHANGES + 2):
            await directory.put_tenant(replace(BRAVO, weight=float(weight)))
        assert await anext(changes) is None
        await directory.put_tenant(ACME)
        assert await anext(changes) == "acme"
