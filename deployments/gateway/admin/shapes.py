"""What the operator's endpoints take and give."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from deployments.section import Seconds, Section
from deployments.tenancy.keys import ENVIRONMENT, ApiKey
from deployments.tenancy.tenant import SCOPES, KeyRecord, Scope

if TYPE_CHECKING:
    from deployments.tenancy.limits.limiter import Levels
    from deployments.tenancy.queue.queue import QueueState
    from deployments.tenancy.tenant import Tenant

DAY = 86_400.0

Json = dict[str, Any]
Environment = Annotated[str, Field(pattern=f"^{ENVIRONMENT}$")]
"""The part of a key that tells where it belongs, as ``live``."""


class KeyBody(Section):
    """A new key: what it may open less than its tenant, for how long it is valid, and what it is called."""

    name: Annotated[str, Field(max_length=64)] = ""
    environment: Environment = "live"
    scopes: list[Scope] = Field(default=list(SCOPES), min_length=1)
    models: list[str] | None = None
    expires_in_seconds: Seconds | None = None

    def record(self, key: ApiKey, tenant: str, now: float) -> KeyRecord:
        """What is kept of it when it is ``key``, made now."""
        return KeyRecord(
            id=key.id,
            tenant=tenant,
            digest=key.digest,
            created_at=now,
            name=self.name,
            scopes=tuple(self.scopes),
            models=None if self.models is None else tuple(self.models),
            expires_at=None if self.expires_in_seconds is None else now + self.expires_in_seconds,
        )


class RotationBody(Section):
    """How long the old key is valid beside the new one."""

    environment: Environment = "live"
    overlap_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = DAY


class ChargeBody(Section):
    """What a request would cost at most; ``work`` is in work units."""

    requests: Annotated[int, Field(ge=0)] = 1
    tokens: Annotated[int, Field(ge=0)] = 0
    work: Annotated[int, Field(ge=0)] = 0
    concurrency: Annotated[int, Field(ge=0)] = 1


def listed(data: list[Json]) -> Json:
    """A list of the API."""
    return {"object": "list", "data": data}


def tenant_json(tenant: Tenant) -> Json:
    """A tenant; but for ``object`` and ``declared`` it is a body of ``PUT``."""
    return {"object": "tenant", **asdict(tenant)}


def key_json(key: KeyRecord) -> Json:
    """A key without anything of its secret."""
    shown = asdict(key)
    del shown["digest"]
    return {"object": "key", **shown}


def levels_json(tenant: str, levels: Levels) -> Json:
    """What is left of each limit of a tenant."""
    limits = {name: asdict(level) for name, level in levels.by_limit.items()}
    return {"object": "limits", "tenant": tenant, "mode": levels.mode, "limits": limits}


def queue_json(name: str, state: QueueState) -> Json:
    """One queue, by its name in :class:`deployments.gateway.shared.Shared`."""
    return {
        "object": "queue",
        "name": name,
        "waiting": dict(state.waiting),
        "running": state.running,
        "counters": dict(state.counters),
        "jain": state.jain,
        "max_lag": state.max_lag,
    }
