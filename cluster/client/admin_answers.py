"""What the operator's endpoints take and answer. Times are in Unix seconds, work is in work units."""

from __future__ import annotations

from typing import Any

from cluster.client.answers import Answer, Part, UsageRow

TERMS = {"name", "models", "weight", "bands", "quality_floor", "limits"}
"""The members of a tenant that the operator sets."""


class Limits(Part):
    """How much a tenant may do; ``None`` sets no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    work_per_minute: int | None = None
    concurrency: int | None = None
    work_per_day: int | None = None
    work_per_month: int | None = None
    queued: int | None = 256


class Tenant(Answer):
    """One party that shares the cluster; ``models`` ``None`` allows all. A ``declared`` one is changed in a file."""

    name: str
    models: tuple[str, ...] | None = None
    weight: float = 1.0
    bands: tuple[str, ...] = ("default", "flex")
    quality_floor: str | None = None
    limits: Limits = Limits()
    declared: bool = False

    def terms(self) -> dict[str, Any]:
        """What is sent to keep it."""
        return self.model_dump(mode="json", include=TERMS)


class TenantList(Answer):
    """All tenants, by name."""

    data: tuple[Tenant, ...]


class Key(Answer):
    """What is known of an API key; ``id`` is the public part of it."""

    id: str
    tenant: str
    name: str
    scopes: tuple[str, ...]
    models: tuple[str, ...] | None
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None
    declared: bool


class NewKey(Key):
    """A key that was just made; nobody is shown ``key`` again. It may take the place of one that ends soon."""

    key: str
    replaces: Key | None = None


class KeyList(Answer):
    """The keys of a tenant, the oldest first."""

    data: tuple[Key, ...]


class Level(Part):
    """What is left of one limit, and in how many seconds all of it will be there again."""

    limit: int
    remaining: int
    reset_seconds: float


class Levels(Answer):
    """What is left of the limits that a tenant has; ``mode`` says who counts: all gateways or each alone."""

    tenant: str
    mode: str
    limits: dict[str, Level]


class Verdict(Answer):
    """Whether a request would be admitted; if not, as which error, by which limit, and the seconds to wait."""

    admitted: bool
    mode: str
    code: str | None
    limit: str | None
    retry_after: float | None


class Queue(Part):
    """A queue for the places of a model: who waits by band, those under way, the tenants' counters in work per weight.

    ``jain`` is Jain's index of their service per weight, ``max_lag`` how far two counters are apart.
    """

    name: str
    waiting: dict[str, int]
    running: int
    counters: dict[str, float]
    jain: float
    max_lag: float


class QueueList(Answer):
    """All queues."""

    data: tuple[Queue, ...]


class TenantUsage(Answer):
    """A tenant's usage by day and model."""

    tenant: str
    start: str
    end: str
    data: tuple[UsageRow, ...]
