"""Requests that may be sent again: the same ``Idempotency-Key`` is run once.

A key belongs to its tenant and stands for a payload. As long as its answer is kept, sending it again repeats that
answer; while it runs, it is refused. A request that failed or was cancelled has no answer: the key stands for the next
attempt instead. So does the key of a request of which nothing is kept any more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deployments.errors import IdempotencyInProgress, IdempotencyKeyReused, InvalidRequest
from deployments.gateway.ids import ulid_time
from deployments.state.store import Claim, RequestKey

if TYPE_CHECKING:
    from deployments.state.record import RequestRecord
    from deployments.state.store import RequestStore

HEADER = "idempotency-key"
REPLAYED = {"idempotent-replayed": "true"}
KEY = re.compile(r"[\x21-\x7e]{1,255}")

ATTEMPTS = 16
"""Failed attempts that one key may stand for in turn; after these it is refused as what is reused."""

TOO_OFTEN = "This idempotency key was sent too often with requests that failed."

CLAIM_SECONDS = 10.0
"""A claimed request has its record within this time, or was never accepted."""


def idempotency_key(value: str | None) -> str | None:
    """The key in the header, if there is one. Raises :class:`InvalidRequest`."""
    if value is not None and not KEY.fullmatch(value):
        raise InvalidRequest("One key of 1 to 255 visible ASCII characters is expected.", parameter=HEADER)
    return value


async def answered(
    store: RequestStore, record: RequestRecord, key: str, digest: str, now: float
) -> RequestRecord | None:
    """As :func:`earlier`, without claiming the key for ``record``: ``None`` when it could be."""
    for attempt in range(ATTEMPTS):
        held = await store.claimed(record.tenant, f"{key} {attempt}")
        if held is None:
            return None
        known = await _claimant(store, record.tenant, held, digest, now)
        if known is not None:
            return known
    raise IdempotencyKeyReused(TOO_OFTEN)


async def earlier(
    store: RequestStore, record: RequestRecord, key: str, digest: str, now: float
) -> RequestRecord | None:
    """The request whose answer is to be repeated; ``None`` when ``record`` is the one to run, and no other.

    Raises :class:`IdempotencyKeyReused` and :class:`IdempotencyInProgress`.
    """
    mine = Claim(record.id, digest)
    for attempt in range(ATTEMPTS):
        held = await store.claim(record.tenant, f"{key} {attempt}", mine)
        if held.id == record.id:
            return None
        known = await _claimant(store, record.tenant, held, digest, now)
        if known is not None:
            return known
    raise IdempotencyKeyReused(TOO_OFTEN)


async def _claimant(store: RequestStore, tenant: str, held: Claim, digest: str, now: float) -> RequestRecord | None:
    """The request that has claimed a key and has an answer; ``None`` when it has none, and will have none."""
    if held.digest != digest:
        raise IdempotencyKeyReused
    known = await store.get(RequestKey(tenant, held.id))
    if known is None and now - ulid_time(held.id.rpartition("-")[2]) < CLAIM_SECONDS:
        raise IdempotencyInProgress
    if known is not None and (known.status == "completed" or _is_background(known)):
        return known
    if known is not None and not known.has_ended:
        raise IdempotencyInProgress
    return None


def _is_background(record: RequestRecord) -> bool:
    """A background request is answered as soon as it is accepted, whatever becomes of it."""
    return bool(record.parameters.get("response", {}).get("background"))
