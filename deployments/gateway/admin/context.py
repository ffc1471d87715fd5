"""What the operator's endpoints share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployments.errors import Conflict, KeyNotFound, TenantNotFound
from deployments.gateway.ids import Clock, Entropy
from deployments.tenancy.keys import ApiKey, make_key, parse_key

if TYPE_CHECKING:
    from deployments.gateway.shared import Shared
    from deployments.tenancy.tenant import KeyRecord, Tenant


@dataclass(frozen=True, slots=True)
class Administration:
    """The parts that the application is wired from."""

    shared: Shared
    clock: Clock
    entropy: Entropy

    async def tenant(self, name: str) -> Tenant:
        """The tenant of that name. Raises :class:`TenantNotFound`."""
        tenant = await self.shared.directory.tenant(name)
        if tenant is None:
            raise TenantNotFound
        return tenant

    async def refuse_declared(self, name: str) -> None:
        """Raise :class:`Conflict` for a tenant that the configuration declares."""
        tenant = await self.shared.directory.tenant(name)
        if tenant is not None and tenant.declared:
            raise Conflict(f"{name} is declared in the configuration, and is changed there.")

    async def changeable_key(self, id: str) -> KeyRecord:
        """The key with that public id. Raises :class:`KeyNotFound` and, for a declared one, :class:`Conflict`."""
        key = await self.shared.directory.key(id)
        if key is None:
            raise KeyNotFound
        if key.declared:
            raise Conflict(f"Key {id} is declared in the configuration, and is changed there.")
        return key

    async def new_key(self, environment: str) -> ApiKey:
        """A key whose id nobody has. Raises :class:`Conflict` in the rare case that it was drawn before."""
        key = parse_key(make_key(environment, self.entropy))
        if await self.shared.directory.key(key.id) is not None:
            raise Conflict("The id of the new key is taken: try again.")
        return key
