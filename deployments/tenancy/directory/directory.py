"""The seam between the gateways and the place where tenants and keys are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from deployments.tenancy.tenant import KeyRecord, Tenant


@dataclass(frozen=True, slots=True)
class Declared:
    """The tenants and keys that a configuration names."""

    tenants: tuple[Tenant, ...] = ()
    keys: tuple[KeyRecord, ...] = ()


class Directory(Protocol):
    """Tenants by name and keys by id. Any call may raise :class:`deployments.state.store.StateUnavailable`."""

    async def tenant(self, name: str) -> Tenant | None:
        """The tenant of that name."""

    async def tenants(self) -> Sequence[Tenant]:
        """All tenants, by name."""

    async def put_tenant(self, tenant: Tenant) -> None:
        """Keep ``tenant``, in place of what is there under its name."""

    async def remove_tenant(self, name: str) -> bool:
        """Forget a tenant and all its keys; whether there was one."""

    async def key(self, id: str) -> KeyRecord | None:
        """The key with that public id, revoked and expired ones too."""

    async def keys(self, tenant: str) -> Sequence[KeyRecord]:
        """All keys of a tenant, the oldest first."""

    async def put_key(self, key: KeyRecord) -> None:
        """Keep ``key``, in place of what is there under its id; its last use is not set back, and one that is revoked
        stays so. Raises
        :class:`deployments.state.store.Missing` when there is no such tenant, and
        :class:`deployments.state.store.StateError` when the id is that of another tenant's key.
        """

    async def remove_key(self, id: str) -> bool:
        """Forget a key; whether there was one."""

    async def used(self, id: str, hour: float) -> None:
        """Note that a key was used in the hour that began at ``hour``."""

    def changes(self) -> AsyncIterator[str | None]:
        """The names of tenants of which something has changed; ``None`` first, when the reader sees all that comes from
        then on, and again when some may have been missed. A use of a key is no change. Never raises.
        """
