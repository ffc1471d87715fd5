"""Where the cluster under load is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from cluster.runtime import RunningCluster
from deployments.document import ConfigError


@dataclass(frozen=True, slots=True)
class Reach:
    """``base_url`` ends in ``/v1``. Without an ``admin_key`` no tenants are made."""

    base_url: str
    grpc_address: str | None
    admin_url: str | None
    admin_key: str | None

    @classmethod
    def of(cls, given: Mapping[str, str | None], running: RunningCluster | None) -> Self:
        """What is ``given``, by the names of the fields, or else the cluster that runs here. Raises
        :class:`ConfigError` when there is neither.
        """
        if given["base_url"] is not None:
            return cls(given["base_url"], given["grpc_address"], given["admin_url"], given["admin_key"])
        if running is None:
            raise ConfigError("no cluster is running here; give its address by --base-url")
        return cls(running.base_url, running.grpc_address, running.admin_url, running.admin_key)
