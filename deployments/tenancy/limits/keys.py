"""The names of what is counted of a tenant. All of them share a slot of a cluster."""

from __future__ import annotations

from typing import NamedTuple


class LimitKeys(NamedTuple):
    """The names that belong to one reservation: its tenant's counts and places, and what is kept of itself."""

    counts: str
    places: str
    reservation: str

    @classmethod
    def of(cls, tenant: str, reservation: str) -> LimitKeys:
        counts = f"dllm:{{{tenant}}}:limits"
        return cls(counts, f"{counts}:places", f"{counts}:of:{reservation}")
