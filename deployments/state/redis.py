"""Request records on a server that speaks the Redis protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError

from deployments.state import scripts
from deployments.state.record import (
    TOKEN_BYTES,
    RequestRecord,
    Status,
    decode,
    encode,
    encode_fields,
    given,
    pack_tokens,
    unpack_tokens,
)
from deployments.state.store import StateError, StateUnavailable

MAX_IN_FLIGHT = 64
"""Calls at one time; the others wait, where the client library would refuse a 101st connection."""

_REFUSALS = {
    "missing": "there is no such record",
    "taken": "the id is taken",
    "gap": "the tokens leave a gap after what is committed",
    "conflict": "the tokens differ from what is committed",
}


class RedisStore:
    """A :class:`deployments.state.store.RequestStore` whose records expire ``ttl_seconds`` after their last change.

    Each call is one script, sent whole: servers that forbid ``SCRIPT LOAD`` or lose their scripts at failover need no
    second way.
    """

    def __init__(self, client: Redis | RedisCluster, ttl_seconds: int, companions: Sequence[Redis] = ()) -> None:
        """``companions`` are clients that ``client`` uses, and that end with it."""
        self._client, self._companions = client, companions
        self._ttl = str(ttl_seconds)
        self._places = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def create(self, record: RequestRecord) -> None:
        tokens = pack_tokens(record.committed_tokens)
        await self._write(scripts.CREATE, record.tenant, record.id, tokens, *_flatten(encode(record)))

    async def append_tokens(self, tenant: str, id: str, start: int, tokens: Sequence[int]) -> None:
        await self._write(scripts.APPEND, tenant, id, str(start * TOKEN_BYTES), pack_tokens(tokens))

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
        changes = given(status=status, finish_reason=finish_reason, usage=usage, error_code=error_code)
        await self._write(scripts.UPDATE, tenant, id, *_flatten(encode_fields({**changes, "updated_at": now})))

    async def get(self, tenant: str, id: str) -> RequestRecord | None:
        flat, tokens = await self._run(scripts.READ, tenant, id)
        if not flat:
            return None
        hash_fields = {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
        return decode(hash_fields, unpack_tokens(tokens or b""))

    async def ping(self) -> bool:
        try:
            return bool(await self._client.ping())
        except (RedisError, OSError):
            return False

    async def close(self) -> None:
        for client in (self._client, *self._companions):
            await client.aclose()

    async def _write(self, script: str, tenant: str, id: str, *arguments: str | bytes) -> None:
        answer = (await self._run(script, tenant, id, self._ttl, *arguments)).decode()
        if answer != "ok":
            raise StateError(f"{id}: {_REFUSALS[answer]}")

    async def _run(self, script: str, tenant: str, id: str, *arguments: str | bytes) -> Any:
        slot = f"dllm:{{{tenant}:{id}}}"
        async with self._places:
            try:
                return await self._client.eval(script, 2, f"{slot}:record", f"{slot}:tokens", *arguments)
            except (RedisError, OSError) as error:
                raise StateUnavailable(f"the state store does not answer: {type(error).__name__}") from error


def _flatten(hash_fields: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(chain.from_iterable(hash_fields.items()))
