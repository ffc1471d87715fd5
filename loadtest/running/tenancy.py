"""The tenants of a load test and their keys, for as long as it lasts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cluster.client.admin import AdminClient
from cluster.client.admin_answers import Limits, Tenant
from deployments.document import ConfigError
from loadtest.scenario.scenario import TenantLoad

SPARE_SECONDS = 600.0
"""How much longer than the load a key lives, in case that nobody is left to revoke it."""


@dataclass(slots=True)
class Tenancy:
    """What was made for the test, so that it can be taken back."""

    admin: AdminClient | None
    keys: dict[str, str] = field(default_factory=dict)
    _made_keys: list[str] = field(default_factory=list)
    _made_tenants: list[str] = field(default_factory=list)

    def prepare(
        self, tenants: Sequence[TenantLoad], seconds: float, environment: Mapping[str, str] = os.environ
    ) -> None:
        """Have a key for each of ``tenants``, for a load of ``seconds``.

        Raises :class:`ConfigError` where there is none and no operator to make it, and
        :class:`cluster.client.errors.ClientError`.
        """
        for tenant in tenants:
            if tenant.key_variable is None:
                self.keys[tenant.name] = self._made(tenant, seconds)
            elif tenant.key_variable in environment:
                self.keys[tenant.name] = environment[tenant.key_variable]
            else:
                raise ConfigError(f"tenants: {tenant.key_variable} is not set, which has the key of {tenant.name}")

    def close(self) -> None:
        """Revoke the keys, and forget the tenants that were not there before."""
        if self.admin is None:
            return
        while self._made_keys:
            self.admin.revoke_key(self._made_keys.pop())
        while self._made_tenants:
            self.admin.remove_tenant(self._made_tenants.pop())

    def _made(self, tenant: TenantLoad, seconds: float) -> str:
        if self.admin is None:
            raise ConfigError(f"tenants: {tenant.name} has no key_variable, and without an admin key none can be made")
        if tenant.name not in {each.name for each in self.admin.tenants()}:
            self._made_tenants.append(tenant.name)
        limits = Limits(**tenant.limits.model_dump())
        bands = tuple(tenant.bands)
        self.admin.put_tenant(Tenant(name=tenant.name, weight=tenant.weight, bands=bands, limits=limits))
        lifetime = seconds + SPARE_SECONDS
        made = self.admin.create_key(tenant.name, name="load test", environment="test", expires_in_seconds=lifetime)
        self._made_keys.append(made.id)
        return made.key
