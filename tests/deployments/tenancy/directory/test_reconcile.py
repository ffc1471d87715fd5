from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.state.store import StateUnavailable
from deployments.tenancy.directory.directory import Declared, Directory
from deployments.tenancy.directory.memory import MemoryDirectory
from deployments.tenancy.directory.reconcile import Changes, changes_to, keep_reconciled, reconcile
from deployments.tenancy.tenant import KeyRecord, Tenant
from tests.deployments.state.servers import Place
from tests.deployments.tenancy.directory.directories import ACME, BRAVO, directory_at, following, key_of

TENANTS = ("acme", "bravo", "carol")
IDS = ("k1", "k2", "k3", "k4")


@st.composite
def holdings(draw: st.DrawFn, *, declared: bool | None = None) -> Declared:
    """Tenants and some keys of theirs; all declared, or each declared or made by hand."""
    by = st.booleans() if declared is None else st.just(declared)
    names = draw(st.lists(st.sampled_from(TENANTS), unique=True))
    tenants = [Tenant(name, weight=draw(st.sampled_from((1.0, 2.0))), declared=draw(by)) for name in names]
    ids = draw(st.lists(st.sampled_from(IDS), unique=True)) if names else []
    keys = [
        key_of(
            draw(st.sampled_from(names)),
            id,
            name=draw(st.sampled_from(("", "ci"))),
            declared=draw(by),
            created_at=draw(st.sampled_from((1.0, 2.0))),
            last_used_at=draw(st.sampled_from((None, 3600.0))),
        )
        for id in ids
    ]
    return Declared(tuple(tenants), tuple(keys))


async def all_in(directory: Directory) -> tuple[dict[str, Tenant], dict[str, KeyRecord]]:
    tenants = {tenant.name: tenant for tenant in await directory.tenants()}
    return tenants, {key.id: key for name in tenants for key in await directory.keys(name)}


def without_history(key: KeyRecord) -> KeyRecord:
    return replace(key, created_at=0.0, last_used_at=None)


@given(holdings(), holdings(declared=True))
def test_what_is_declared_is_there_and_what_was_made_by_hand_stays(there: Declared, declared: Declared) -> None:
    async def check() -> None:
        directory = MemoryDirectory(there)
        await reconcile(directory, declared)
        tenants, keys = await all_in(directory)
        own_keys = {key.id: key for key in there.keys if not key.declared}
        own_tenants = {tenant.name: tenant for tenant in there.tenants if not tenant.declared}
        wanted, wanted_keys = {t.name: t for t in declared.tenants}, {key.id: key for key in declared.keys}
        assert {name: tenant for name, tenant in tenants.items() if tenant.declared} == wanted
        assert {id: without_history(key) for id, key in keys.items() if key.declared} == {
            id: without_history(key) for id, key in wanted_keys.items()
        }
        assert {id: key for id, key in keys.items() if not key.declared} == {
            id: key for id, key in own_keys.items() if id not in wanted_keys
        }
        left = {name: tenant for name, tenant in tenants.items() if not tenant.declared}
        assert {name: left.get(name) for name in own_tenants.keys() - wanted.keys()} == {
            name: tenant for name, tenant in own_tenants.items() if name not in wanted
        }
        assert left.keys() - own_tenants.keys() <= {key.tenant for key in own_keys.values()}
        assert await reconcile(directory, declared) == Changes()

    asyncio.run(check())


class Interleaved(MemoryDirectory):
    """A directory between whose calls others have a turn, as often as ``turns`` says."""

    def __init__(self, declared: Declared, turns: Sequence[int]) -> None:
        super().__init__(declared)
        self._turns = iter(turns)

    async def _others(self) -> None:
        for _ in range(next(self._turns, 0)):
            await asyncio.sleep(0)

    async def keys(self, tenant: str) -> Sequence[KeyRecord]:
        await self._others()
        return await super().keys(tenant)

    async def put_tenant(self, tenant: Tenant) -> None:
        await self._others()
        await super().put_tenant(tenant)

    async def put_key(self, key: KeyRecord) -> None:
        await self._others()
        await super().put_key(key)

    async def remove_key(self, id: str) -> bool:
        await self._others()
        return await super().remove_key(id)

    async def remove_tenant(self, name: str) -> bool:
        await self._others()
        return await super().remove_tenant(name)


@given(holdings(), holdings(declared=True), st.lists(st.integers(0, 5), max_size=60))
def test_gateways_that_reconcile_at_once_come_to_what_one_alone_comes_to(
    there: Declared, declared: Declared, turns: list[int]
) -> None:
    async def check() -> None:
        alone, together = MemoryDirectory(there), Interleaved(there, turns)
        await reconcile(alone, declared)
        await asyncio.gather(*(reconcile(together, declared) for _ in range(3)))
        tenants, keys = await all_in(together)
        expected, expected_keys = await all_in(alone)
        assert tenants == expected
        assert {key.id: without_history(key) for key in keys.values()} == {
            key.id: without_history(key) for key in expected_keys.values()
        }

    asyncio.run(check())


class Moving(MemoryDirectory):
    """A directory in which another gateway moves a key after its old tenant's keys were read."""

    async def keys(self, tenant: str) -> Sequence[KeyRecord]:
        found = await super().keys(tenant)
        if tenant == "acme" and found:
            await self.remove_key("k")
            await self.put_key(replace(found[0], tenant="bravo"))
        return found


async def test_a_key_that_another_gateway_moves_meanwhile_stays_where_it_is_declared() -> None:
    key, bravo = key_of("acme", "k", declared=True), replace(BRAVO, declared=True)
    directory = Moving(Declared((ACME, bravo), (key,)))
    await reconcile(directory, Declared((ACME, bravo), (replace(key, tenant="bravo"),)))
    assert await directory.key("k") == replace(key, tenant="bravo")


def test_a_declaration_takes_the_place_of_what_was_made_by_hand_loudly() -> None:
    changes = changes_to(
        Declared((ACME,), (key_of("acme", "k", declared=True),)),
        [replace(ACME, declared=False, weight=9.0), BRAVO],
        [key_of("bravo", "k"), key_of("bravo", "mine")],
    )
    assert changes == Changes(
        remove_keys=("k",),
        put_tenants=(ACME,),
        put_keys=(key_of("acme", "k", declared=True),),
        warnings=(
            "tenant acme was made by hand; the declaration of that name takes its place",
            "key k was made by hand; the declaration of that name takes its place",
        ),
    )


def test_a_tenant_that_is_not_declared_any_more_goes_unless_it_has_keys_made_by_hand() -> None:
    declared_key, own_key = key_of("acme", "k", declared=True), key_of("acme", "mine")
    assert changes_to(Declared(), [ACME], [declared_key]) == Changes(remove_keys=("k",), remove_tenants=("acme",))
    assert changes_to(Declared(), [ACME], [declared_key, own_key]) == Changes(
        remove_keys=("k",),
        put_tenants=(replace(ACME, declared=False),),
        warnings=("tenant acme is not declared any more and stays with keys made by hand",),
    )


def test_when_a_key_was_made_and_used_is_kept() -> None:
    held = key_of("acme", "k", declared=True, created_at=1.0, last_used_at=3600.0)
    declared = Declared((ACME,), (replace(held, created_at=99.0, last_used_at=None, name="new"),))
    assert changes_to(declared, [ACME], [held]).put_keys == (replace(held, name="new"),)


async def test_warnings_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    await reconcile(MemoryDirectory(Declared((replace(ACME, declared=False),))), Declared((ACME,)))
    assert caplog.messages == ["tenant acme was made by hand; the declaration of that name takes its place"]


async def test_a_server_that_lost_all_is_given_the_declarations_again(valkey: Place) -> None:
    declared = Declared((ACME,), (key_of("acme", "k", declared=True),))
    async with directory_at(valkey) as directory:
        service = asyncio.create_task(keep_reconciled(directory, lambda: declared))
        await _until_there(directory, "k")
        valkey.flush()
        await _until_there(directory, "k")
        assert await all_in(directory) == ({"acme": ACME}, {"k": declared.keys[0]})
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)


async def _until_there(directory: Directory, id: str) -> None:
    async with asyncio.timeout(60):
        while await directory.key(id) is None:
            pass


class Failing(MemoryDirectory):
    """A directory whose first calls fail."""

    failures = 2

    async def tenants(self) -> Sequence[Tenant]:
        if self.failures:
            self.failures -= 1
            raise StateUnavailable("the store is down")
        return await super().tenants()


async def test_a_failed_attempt_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.tenancy.directory.reconcile.RETRY_SECONDS", 0.0)
    directory = Failing()
    async with following(directory) as changes:
        service = asyncio.create_task(keep_reconciled(directory, lambda: Declared((ACME,))))
        assert await anext(changes) == "acme"
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)
    assert (directory.failures, await directory.tenants()) == (0, [ACME])
