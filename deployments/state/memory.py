"""The twin of the Redis store, in a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deployments.state.record import RequestRecord, Status, given
from deployments.state.store import StateError


class MemoryStore:
    """A :class:`deployments.state.store.RequestStore` whose records live as long as it does."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], RequestRecord] = {}

    async def create(self, record: RequestRecord) -> None:
        if self._records.setdefault((record.tenant, record.id), record) != record:
            raise StateError(f"{record.id}: the id is taken")

    async def append_tokens(self, tenant: str, id: str, start: int, tokens: Sequence[int]) -> None:
        record = self._record(tenant, id)
        committed = record.committed_tokens
        if start > len(committed):
            raise StateError(f"{id}: tokens at {start} leave a gap after {len(committed)}")
        if committed[start : start + len(tokens)] != tuple(tokens)[: len(committed) - start]:
            raise StateError(f"{id}: tokens at {start} differ from what is committed")
        grown = (*committed, *tokens[len(committed) - start :])
        self._records[tenant, id] = replace(record, committed_tokens=grown)

    async def update(
        self,
        tenant: str,
        id: str,
        *,
        now: float,
        status: Status | None = None,
        finish_reason: str | None = None,
        usage: Mapping[str, Any] | None = None,
        error_code: str | None = None,
    ) -> None:
        record = self._record(tenant, id)
        changes = given(status=status, finish_reason=finish_reason, usage=usage, error_code=error_code)
        self._records[tenant, id] = replace(record, updated_at=now, **changes)

    async def get(self, tenant: str, id: str) -> RequestRecord | None:
        return self._records.get((tenant, id))

    async def ping(self) -> bool:
        return True

    async def close(self) -> None:
        self._records.clear()

    def _record(self, tenant: str, id: str) -> RequestRecord:
        record = self._records.get((tenant, id))
        if record is None:
            raise StateError(f"{id}: there is no such record")
        return record
