"""The client of the operator."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from cluster.client.admin_answers import (
    Key,
    KeyList,
    Levels,
    NewKey,
    QueueList,
    Tenant,
    TenantList,
    TenantUsage,
    Verdict,
)
from cluster.client.answers import Answer
from cluster.client.attempts import Clock, Draw, Surroundings
from cluster.client.autoscaling_answers import PoolExplanations
from cluster.client.calls import Call, days, read_as, unread
from cluster.client.client import USUAL_RETRIES
from cluster.client.connection import Connection, Sleep
from cluster.client.retries import RetryPolicy

A = TypeVar("A", bound=BaseModel)
Format = Literal["jsonl", "csv"]

PREFIX = "/admin/v1"


class AdminClient:
    """Calls the operator's endpoints at ``url``, as in ``http://127.0.0.1:8001``. Used in a ``with`` block, or closed.

    Every call raises :class:`cluster.client.errors.ClientError`. A call that makes a key is not repeated when its
    answer is lost on the way: the key would be lost with it.
    """

    def __init__(
        self,
        url: str,
        admin_key: str,
        *,
        retries: RetryPolicy = USUAL_RETRIES,
        transport: httpx.BaseTransport | None = None,
        clock: Clock = time.time,
        sleep: Sleep = time.sleep,
        draw: Draw = random.random,
    ) -> None:
        base_url = url.rstrip("/") + PREFIX
        self._connection = Connection(base_url, admin_key, Surroundings(retries, clock, draw), sleep, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def tenants(self) -> tuple[Tenant, ...]:
        """All tenants, by name."""
        return self._call("GET", "/tenants", TenantList).data

    def tenant(self, name: str) -> Tenant:
        """One tenant."""
        return self._call("GET", _of(name), Tenant)

    def put_tenant(self, tenant: Tenant) -> Tenant:
        """Create a tenant, or replace what holds for it; its keys stay."""
        return self._call("PUT", _of(tenant.name), Tenant, tenant.terms())

    def remove_tenant(self, name: str) -> None:
        """Forget a tenant and all its keys."""
        self._call("DELETE", _of(name), Answer)

    def keys(self, tenant: str) -> tuple[Key, ...]:
        """The keys of a tenant, the oldest first."""
        return self._call("GET", f"{_of(tenant)}/keys", KeyList).data

    def create_key(
        self,
        tenant: str,
        *,
        name: str = "",
        environment: str = "live",
        scopes: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        expires_in_seconds: float | None = None,
    ) -> NewKey:
        """Make a key, with all scopes and the tenant's models if none are named."""
        body: dict[str, Any] = {"name": name, "environment": environment, "expires_in_seconds": expires_in_seconds}
        chosen = {"scopes": scopes, "models": models}
        body |= {name: list(values) for name, values in chosen.items() if values is not None}
        return self._call("POST", f"{_of(tenant)}/keys", NewKey, body, is_harmless=False)

    def revoke_key(self, id: str) -> Key:
        """End a key, for good and within a second."""
        return self._call("POST", f"/keys/{quote(id, safe='')}/revoke", Key)

    def rotate_key(self, id: str, *, overlap_seconds: float, environment: str = "live") -> NewKey:
        """Make a key like this one, which ends after the overlap."""
        body = {"overlap_seconds": overlap_seconds, "environment": environment}
        return self._call("POST", f"/keys/{quote(id, safe='')}/rotate", NewKey, body, is_harmless=False)

    def limits(self, tenant: str) -> Levels:
        """What is left of each limit of a tenant."""
        return self._call("GET", f"{_of(tenant)}/limits", Levels)

    def test_limits(self, tenant: str, *, requests: int = 1, tokens: int = 0, work: int = 0) -> Verdict:
        """What a request with this charge would meet now. Nothing is charged."""
        body = {"requests": requests, "tokens": tokens, "work": work}
        return self._call("POST", f"{_of(tenant)}/limits/test", Verdict, body)

    def usage(self, tenant: str, start: str | None = None, end: str | None = None) -> TenantUsage:
        """A tenant's usage by UTC day and model, from the day ``start`` to the day ``end`` (``YYYY-MM-DD``)."""
        call = Call("GET", f"{_of(tenant)}/usage", read_as(TenantUsage), query=days(start, end))
        return self._connection.answer(call)

    def entries(self, tenant: str, form: Format, start: str | None = None, end: str | None = None) -> Iterator[bytes]:
        """The ledger's entries of these days as a file, piece by piece."""
        query = {"format": form, **days(start, end)}
        yield from self._pieces(Call("GET", f"{_of(tenant)}/usage/entries", unread, query=query))

    def queues(self) -> QueueList:
        """The queues for the places of the models."""
        return self._call("GET", "/queues", QueueList)

    def autoscaling(self, pool: str | None = None) -> PoolExplanations:
        """Why each pool that is scaled, or the one of that name, has as many replicas as it has."""
        query = {} if pool is None else {"pool": pool}
        return self._connection.answer(Call("GET", "/autoscaling/explain", read_as(PoolExplanations), query=query))

    def autoscaling_trace(self) -> Iterator[bytes]:
        """What was decided, and from what, as lines of JSON, piece by piece."""
        yield from self._pieces(Call("GET", "/autoscaling/trace", unread))

    def _pieces(self, call: Call[httpx.Response]) -> Iterator[bytes]:
        response = self._connection.open(call)
        try:
            yield from response.iter_bytes()
        finally:
            response.close()

    def _call(
        self, method: str, path: str, kind: type[A], body: dict[str, Any] | None = None, *, is_harmless: bool = True
    ) -> A:
        return self._connection.answer(Call(method, path, read_as(kind), body, is_harmless=is_harmless))


def _of(tenant: str) -> str:
    return f"/tenants/{quote(tenant, safe='')}"
