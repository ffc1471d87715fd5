"""Which tenants have a name in metrics. Each name is a time series of its own, so there is a bound."""

from __future__ import annotations

OTHER = "other"


class NamedTenants:
    """The first ``most`` tenants that are asked for keep their names for good; all others are :data:`OTHER`."""

    def __init__(self, most: int = 50) -> None:
        self._most = most
        self._named: set[str] = set()

    def label(self, tenant: str) -> str:
        """The value of the label ``tenant``."""
        if tenant in self._named:
            return tenant
        if tenant == OTHER or len(self._named) >= self._most:
            return OTHER
        self._named.add(tenant)
        return tenant
