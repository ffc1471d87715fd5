"""How the directory comes to hold what the configuration declares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from deployments.state.store import StateError
from deployments.tenancy.directory.directory import Declared, Directory
from deployments.tenancy.tenant import KeyRecord, Tenant

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""The pause after an attempt that failed."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What makes a directory agree with what is declared, in the order in which it is done. ``warnings`` say what
    becomes of entries that were made by hand.
    """

    remove_keys: tuple[str, ...] = ()
    put_tenants: tuple[Tenant, ...] = ()
    remove_tenants: tuple[str, ...] = ()
    put_keys: tuple[KeyRecord, ...] = ()
    warnings: tuple[str, ...] = ()


def changes_to(declared: Declared, tenants: Sequence[Tenant], keys: Sequence[KeyRecord]) -> Changes:
    """What makes ``tenants`` and ``keys``, which are there, agree with ``declared``.

    A declaration takes the place of what was made by hand under its name or id. All else that was made by hand stays,
    and a tenant that is not declared any more stays with such keys, as if it had been made by hand, too.
    """
    wanted = {tenant.name: tenant for tenant in declared.tenants}
    held = {key.id: key for key in keys}
    wanted_keys = {key.id: _with_history(key, held.get(key.id)) for key in declared.keys}
    with_own_keys = {key.tenant for key in keys if not key.declared and key.id not in wanted_keys}
    undeclared = [tenant for tenant in tenants if tenant.declared and tenant.name not in wanted]
    staying = tuple(replace(tenant, declared=False) for tenant in undeclared if tenant.name in with_own_keys)
    return Changes(
        remove_keys=tuple(key.id for key in keys if _has_to_go(key, wanted_keys.get(key.id))),
        put_tenants=(*(tenant for tenant in wanted.values() if tenant not in tenants), *staying),
        remove_tenants=tuple(tenant.name for tenant in undeclared if tenant.name not in with_own_keys),
        put_keys=tuple(key for key in wanted_keys.values() if key != held.get(key.id)),
        warnings=(
            *_replaced("tenant", [tenant.name for tenant in tenants if not tenant.declared and tenant.name in wanted]),
            *_replaced("key", [key.id for key in keys if not key.declared and key.id in wanted_keys]),
            *(f"tenant {tenant.name} is not declared any more and stays with keys made by hand" for tenant in staying),
        ),
    )


def _with_history(key: KeyRecord, held: KeyRecord | None) -> KeyRecord:
    """A declaration says nothing of when its key was made and used."""
    if held is None:
        return key
    return replace(key, created_at=held.created_at, last_used_at=held.last_used_at)


def _has_to_go(key: KeyRecord, wanted: KeyRecord | None) -> bool:
    """Whether a key is not declared any more, or for another tenant."""
    return key.declared if wanted is None else wanted.tenant != key.tenant


def _replaced(kind: str, names: Sequence[str]) -> Iterator[str]:
    return (f"{kind} {name} was made by hand; the declaration of that name takes its place" for name in names)


async def reconcile(directory: Directory, declared: Declared) -> Changes:
    """Make the directory hold what is declared; returns what had to be changed.

    May be repeated, and done by several gateways at once: those with the same declarations come to the same end.
    Raises :class:`deployments.state.store.StateUnavailable`.
    """
    tenants = await directory.tenants()
    # Of a key that another gateway moves meanwhile, what was read last holds.
    keys = {key.id: key for tenant in tenants for key in await directory.keys(tenant.name)}
    changes = changes_to(declared, tenants, list(keys.values()))
    for warning in changes.warnings:
        logger.warning("%s", warning)
    for id in changes.remove_keys:
        await directory.remove_key(id)
    for tenant in changes.put_tenants:
        await directory.put_tenant(tenant)
    for name in changes.remove_tenants:
        await directory.remove_tenant(name)
    for key in changes.put_keys:
        await directory.put_key(key)
    return changes


async def keep_reconciled(directory: Directory, declared: Callable[[], Declared]) -> None:
    """Reconcile at the start and whenever the directory may have been lost, until cancelled."""
    async for tenant in directory.changes():
        while tenant is None:
            try:
                await reconcile(directory, declared())
                break
            except StateError as error:
                logger.warning("the declared tenants and keys are not entered yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
