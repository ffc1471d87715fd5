"""The names of what is kept, each with its tenant. All that belongs to one request shares a slot of a cluster."""

from __future__ import annotations

from typing import NamedTuple

from deployments.state.store import RequestKey

PATTERN = "dllm:*"
"""Every name matches."""

LEASES = "dllm:leases"


class RequestKeys(NamedTuple):
    """The names that belong to one request."""

    record: str
    checkpoint: str
    plan: str
    log: str

    @classmethod
    def of(cls, key: RequestKey) -> RequestKeys:
        return cls(*(f"dllm:{{{key.tenant}:{key.id}}}:{part}" for part in cls._fields))


def claim_key(tenant: str, token: str) -> str:
    """What an idempotency key of ``tenant`` stands for."""
    return f"dllm:{{{tenant}}}:claim:{token}"


def inbox_key(owner: str) -> str:
    """The messages left for a gateway."""
    return f"dllm:inbox:{owner}"
