"""The seam between a request that has ended and the place where its costs are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What one answer cost. Equal for everyone who makes it from the same record. Times are in Unix seconds.

    ``work`` is in work units. Of the answers to one request only the first counts as a request and has its prompt.
    A request that failed is entered too, with nothing to pay.
    """

    id: str
    tenant: str
    key: str
    model: str
    endpoint: str
    band: str
    status: str
    created_at: float
    ended_at: float
    requests: int = 1
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    canvases: int = 0
    denoising_steps: int = 0
    forward_passes: int = 0
    position_forwards: int = 0
    work: int = 0
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The sum of a tenant's entries of one UTC day (``YYYY-MM-DD`` of ``ended_at``) and one model."""

    day: str
    tenant: str
    model: str
    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    denoising_steps: int = 0
    forward_passes: int = 0
    position_forwards: int = 0
    work: int = 0


class Ledger(Protocol):
    """Entries, each once however often it is written. Any call may raise
    :class:`deployments.state.store.StateUnavailable`.
    """

    async def enter(self, entry: LedgerEntry) -> bool:
        """Write ``entry``; whether none with its tenant and id was there."""

    def entries(self, tenant: str, first_day: str, last_day: str) -> AsyncIterator[LedgerEntry]:
        """The entries of a tenant that ended from ``first_day`` to ``last_day``: day by day, each in the order in which
        they were written.
        """

    async def usage(self, tenant: str, first_day: str, last_day: str) -> list[UsageRow]:
        """Their sums by day and model, days in order."""
