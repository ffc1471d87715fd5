"""The twin of the Redis ledger, in dictionaries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator

from deployments.tenancy.ledger.ledger import LedgerEntry, UsageRow
from deployments.tenancy.ledger.sums import day_of, days_between, rows_of


class MemoryLedger:
    """A :class:`deployments.tenancy.ledger.ledger.Ledger` that lives as long as the process."""

    def __init__(self) -> None:
        self._ids: set[tuple[str, str]] = set()
        self._days: defaultdict[tuple[str, str], list[LedgerEntry]] = defaultdict(list)

    async def enter(self, entry: LedgerEntry) -> bool:
        if (entry.tenant, entry.id) in self._ids:
            return False
        self._ids.add((entry.tenant, entry.id))
        self._days[entry.tenant, day_of(entry.ended_at)].append(entry)
        return True

    async def entries(self, tenant: str, first_day: str, last_day: str) -> AsyncIterator[LedgerEntry]:
        for day in days_between(first_day, last_day):
            for entry in tuple(self._days.get((tenant, day), ())):
                yield entry

    async def usage(self, tenant: str, first_day: str, last_day: str) -> list[UsageRow]:
        return rows_of([entry async for entry in self.entries(tenant, first_day, last_day)])
