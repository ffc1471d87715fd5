"""Tenants and keys as JSON. Equal ones are equal text."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from deployments.state.store import StateError
from deployments.tenancy.tenant import KeyRecord, Limits, Tenant

SCHEMA_VERSION = 1


def encode_tenant(tenant: Tenant) -> str:
    """All of it."""
    return _encode(asdict(tenant))


def decode_tenant(text: bytes) -> Tenant:
    """Raises :class:`StateError` when another version of this program wrote it."""
    values = _decode(text)
    return Tenant(**_with_tuples(values | {"limits": Limits(**values["limits"])}))


def encode_key(key: KeyRecord) -> str:
    """All of it but its last use, which is kept apart."""
    values = asdict(key)
    del values["last_used_at"]
    return _encode(values)


def decode_key(text: bytes, last_used_at: float | None) -> KeyRecord:
    """Raises :class:`StateError` when another version of this program wrote it."""
    return KeyRecord(**_with_tuples(_decode(text)), last_used_at=last_used_at)


def _encode(values: dict[str, Any]) -> str:
    return json.dumps(values | {"schema_version": SCHEMA_VERSION}, separators=(",", ":"), sort_keys=True)


def _decode(text: bytes) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(text)
    version = values.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise StateError(f"an entry of schema version {version} cannot be read; this program reads {SCHEMA_VERSION}")
    return values


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists where the records have tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
