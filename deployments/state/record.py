"""What is kept of a request, and its form in a Redis hash: one field for each attribute, each value JSON.

The committed tokens grow while the rest stays, so they are a value of their own: 4 bytes each, little-endian.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from deployments.state.store import StateError

SCHEMA_VERSION = 1
TOKEN_BYTES = 4

Status = Literal["queued", "running", "completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request of one tenant. Times are in Unix seconds; ``updated_at`` is that of the last change of status.

    ``committed_tokens`` only grows. ``parameters`` and ``usage`` are JSON objects.
    """

    id: str
    tenant: str
    model: str
    endpoint: str
    parameters: Mapping[str, Any]
    created_at: float
    updated_at: float
    status: Status = "queued"
    committed_tokens: tuple[int, ...] = ()
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    error_code: str | None = None
    schema_version: int = SCHEMA_VERSION


STORED_FIELDS = tuple(field.name for field in fields(RequestRecord) if field.name != "committed_tokens")


def given(**values: Any) -> dict[str, Any]:
    """The values that are not ``None``."""
    return {name: value for name, value in values.items() if value is not None}


def encode_fields(values: Mapping[str, Any]) -> dict[str, str]:
    """Attributes as the fields of a hash."""
    return {name: json.dumps(value, separators=(",", ":"), sort_keys=True) for name, value in values.items()}


def encode(record: RequestRecord) -> dict[str, str]:
    """The fields of the record's hash."""
    return encode_fields({name: getattr(record, name) for name in STORED_FIELDS})


def decode(hash_fields: Mapping[str, str | bytes], tokens: Sequence[int]) -> RequestRecord:
    """The record of a hash. Raises :class:`StateError` when another version of this program wrote it."""
    values = {name: json.loads(value) for name, value in hash_fields.items()}
    version = values.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StateError(f"a record of schema version {version} cannot be read; this program reads {SCHEMA_VERSION}")
    return RequestRecord(**values, committed_tokens=tuple(tokens))


def pack_tokens(tokens: Sequence[int]) -> bytes:
    """Token ids as bytes."""
    return struct.pack(f"<{len(tokens)}I", *tokens)


def unpack_tokens(packed: bytes) -> tuple[int, ...]:
    """The inverse of :func:`pack_tokens`."""
    return struct.unpack(f"<{len(packed) // TOKEN_BYTES}I", packed)
