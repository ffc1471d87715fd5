"""What is kept of a request, and its form in a Redis hash: one field for each attribute, each value JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from deployments.state.store import Change, RequestKey, StateError

SCHEMA_VERSION = 2

Status = Literal["queued", "running", "completed", "failed", "cancelled"]
TERMINAL: frozenset[Status] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request of one tenant. Times are in Unix seconds; ``updated_at`` is that of the last change of status.

    ``owner`` is the gateway whose lease lasts to ``lease_until``, under ``epoch``. A ``durable`` request outlives its
    gateway and its client; its log can be followed while it grows. ``entries`` and ``log_bytes`` are the length of the
    log. ``parameters`` and ``usage`` are JSON objects.
    """

    id: str
    tenant: str
    model: str
    endpoint: str
    parameters: Mapping[str, Any]
    created_at: float
    updated_at: float
    durable: bool = False
    owner: str = ""
    epoch: int = 1
    lease_until: float = 0.0
    entries: int = 0
    log_bytes: int = 0
    status: Status = "queued"
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    error_code: str | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def key(self) -> RequestKey:
        return RequestKey(self.tenant, self.id)

    @property
    def has_ended(self) -> bool:
        return self.status in TERMINAL


FIELDS = tuple(field.name for field in fields(RequestRecord))


def fields_of(change: Change) -> dict[str, Any]:
    """What ``change`` sets in the record, apart from the length of the log."""
    values = {
        "updated_at": None if change.status is None else change.now,
        "lease_until": 0.0 if change.status in TERMINAL else change.lease_until,
        "status": change.status,
        "finish_reason": change.finish_reason,
        "usage": change.usage,
        "error_code": change.error_code,
    }
    return {name: value for name, value in values.items() if value is not None}


def encode_fields(values: Mapping[str, Any]) -> dict[str, str]:
    """Attributes as the fields of a hash."""
    return {name: json.dumps(value, separators=(",", ":"), sort_keys=True) for name, value in values.items()}


def encode(record: RequestRecord) -> dict[str, str]:
    """The fields of the record's hash."""
    return encode_fields({name: getattr(record, name) for name in FIELDS})


def decode(hash_fields: Mapping[str, str | bytes]) -> RequestRecord:
    """The record of a hash. Raises :class:`StateError` when another version of this program wrote it."""
    values = {name: json.loads(value) for name, value in hash_fields.items()}
    version = values.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StateError(f"a record of schema version {version} cannot be read; this program reads {SCHEMA_VERSION}")
    return RequestRecord(**values)
