"""The ledger on a server that speaks the Redis protocol."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from typing import Any

from deployments.state.client import Argument, Client
from deployments.tenancy.ledger import scripts
from deployments.tenancy.ledger.ledger import LedgerEntry, UsageRow
from deployments.tenancy.ledger.sums import COUNTERS, day_of, days_between

RETENTION_DAYS = 62
DAY_SECONDS = 86_400
ENTRIES_PER_PAGE = 500
DAYS_PER_PAGE = 31

_FIELDS = tuple(field.name for field in fields(LedgerEntry))
_INTEGERS = frozenset(field.name for field in fields(LedgerEntry) if field.type == "int")
_TIMES = frozenset(("created_at", "ended_at"))


class RedisLedger:
    """A :class:`deployments.tenancy.ledger.ledger.Ledger` that keeps each day for ``retention_days`` after it was
    last written.

    Of a tenant's day there is a stream of entries, a hash of sums, whose fields are ``<counter>:<model>``, and a set
    of ids. The set is that of the day of ``created_at``, which is the same for all who bill a request, at whatever
    time they think that it ended.
    """

    def __init__(self, client: Client, retention_days: int = RETENTION_DAYS) -> None:
        self._client, self._ttl = client, (retention_days + 1) * DAY_SECONDS

    async def enter(self, entry: LedgerEntry) -> bool:
        day = day_of(entry.ended_at)
        keys = (
            _key(entry.tenant, day_of(entry.created_at), "ids"),
            _key(entry.tenant, day, "entries"),
            _key(entry.tenant, day, "sums"),
        )
        sums = tuple(chain.from_iterable((f"{name}:{entry.model}", getattr(entry, name)) for name in COUNTERS))
        arguments: tuple[Argument, ...] = (self._ttl, entry.id, len(sums), *sums, *_flat(entry))
        return bool(await self._client.run(scripts.ENTER, keys, *arguments))

    async def entries(self, tenant: str, first_day: str, last_day: str) -> AsyncIterator[LedgerEntry]:
        for day in days_between(first_day, last_day):
            start = "-"
            while page := await self._page(_key(tenant, day, "entries"), start):
                for _, values in page:
                    yield _entry(values)
                if len(page) < ENTRIES_PER_PAGE:
                    break
                start = f"({page[-1][0].decode()}"

    async def usage(self, tenant: str, first_day: str, last_day: str) -> list[UsageRow]:
        rows: list[UsageRow] = []
        wanted = list(days_between(first_day, last_day))
        for start in range(0, len(wanted), DAYS_PER_PAGE):
            days = wanted[start : start + DAYS_PER_PAGE]
            found = await self._client.run(scripts.SUMS, [_key(tenant, day, "sums") for day in days])
            for day, flat in zip(days, found, strict=True):
                rows += _rows(day, tenant, flat)
        return rows

    async def _page(self, key: str, start: str) -> Sequence[tuple[bytes, Mapping[bytes, bytes]]]:
        page: Sequence[tuple[bytes, Mapping[bytes, bytes]]]
        page = await self._client.call("XRANGE", key, start, "+", "COUNT", ENTRIES_PER_PAGE)
        return page


def _key(tenant: str, day: str, part: str) -> str:
    return f"dllm:{{{tenant}}}:ledger:{day}:{part}"


def _flat(entry: LedgerEntry) -> Iterator[Argument]:
    """Fields and values in turn. Each entry has all fields, so that a stream holds their names once."""
    for name in _FIELDS:
        value = getattr(entry, name)
        yield name
        yield "" if value is None else repr(value) if name in _TIMES else value


def _entry(values: Mapping[bytes, bytes]) -> LedgerEntry:
    return LedgerEntry(**{name.decode(): _value(name.decode(), value.decode()) for name, value in values.items()})


def _value(name: str, text: str) -> Any:
    if name in _INTEGERS:
        return int(text)
    if name in _TIMES:
        return float(text)
    return None if name == "error_code" and not text else text


def _rows(day: str, tenant: str, flat: Sequence[bytes]) -> Iterator[UsageRow]:
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for field, amount in zip(flat[::2], flat[1::2], strict=True):
        counter, _, model = field.decode().partition(":")
        counts[model][counter] = int(amount)
    for model in sorted(counts):
        yield UsageRow(day, tenant, model, **counts[model])
