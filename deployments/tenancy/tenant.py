"""Who uses the cluster, and what each of them may do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from deployments.errors import PermissionDenied

if TYPE_CHECKING:
    from deployments.gateway.effort import Effort

Band = Literal["interactive", "default", "flex"]
"""How urgent a request is. Of a tenant's own requests the interactive ones go first; flex waits for all others."""

Scope = Literal["generate", "jobs", "usage:read"]
"""What a key opens: answers, requests that are stored or run in the background, the tenant's usage."""

SCOPES: tuple[Scope, ...] = ("generate", "jobs", "usage:read")
USUAL_BANDS: tuple[Band, ...] = ("default", "flex")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a tenant may do; ``None`` sets no limit.

    Work is in work units, which are position-forwards times the model's ``work_weight``; days and months are those of
    UTC. ``concurrency`` counts requests from their acceptance to their end, and ``queued`` those among them that wait
    for their turn at one model.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    work_per_minute: int | None = None
    concurrency: int | None = None
    work_per_day: int | None = None
    work_per_month: int | None = None
    queued: int | None = 256


@dataclass(frozen=True, slots=True)
class Tenant:
    """One party that shares the cluster. ``models`` are those it may use, ``None`` all of them.

    Of a model that is wanted by several, each gets a share in proportion to its ``weight``. Requests with a lower
    effort than ``quality_floor`` get that one. A ``declared`` tenant is what a file says, and is changed there only.
    """

    name: str
    models: tuple[str, ...] | None = None
    weight: float = 1.0
    bands: tuple[Band, ...] = USUAL_BANDS
    quality_floor: Effort | None = None
    limits: Limits = field(default_factory=Limits)
    declared: bool = False

    @property
    def cache_salt(self) -> str:
        """Requests with different salts never share cached prefixes, so nobody can learn from the time that an answer
        takes what another tenant has asked.
        """
        return hashlib.sha256(f"cached prefixes\0{self.name}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of an API key: never the key itself, but the hex SHA-256 ``digest`` of the whole of it.

    ``id`` is the public part. Times are in Unix seconds; ``last_used_at`` is exact to the hour. A key may open less
    than its tenant: some ``scopes``, some ``models``.
    """

    id: str
    tenant: str
    digest: str
    created_at: float
    name: str = ""
    scopes: tuple[Scope, ...] = SCOPES
    models: tuple[str, ...] | None = None
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """What a verified key opens."""

    tenant: Tenant
    key: KeyRecord

    def may_use(self, model: str) -> bool:
        """Whether both the tenant and the key have the model."""
        return all(models is None or model in models for models in (self.tenant.models, self.key.models))

    def require(self, *scopes: Scope) -> None:
        """Raise :class:`PermissionDenied` when the key has none of ``scopes``."""
        if not set(scopes) & set(self.key.scopes):
            raise PermissionDenied(f"This key does not have the scope {' or '.join(map(repr, scopes))}.")
