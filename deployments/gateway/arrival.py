"""A request as it came, by whatever protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deployments.telemetry.observation import Observation

if TYPE_CHECKING:
    from deployments.tenancy.tenant import Access, Tenant


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who asks, what for, and what was said beside it. ``headers`` have lower-case names; over gRPC they are the
    metadata. ``payload`` is the body as it was sent, and ``observation`` what is seen of it.
    """

    access: Access
    request_id: str
    operation: str
    headers: Mapping[str, str]
    payload: bytes = b""
    observation: Observation = field(default_factory=Observation)

    @property
    def tenant(self) -> Tenant:
        """Whose request it is."""
        return self.access.tenant

    @property
    def digest(self) -> str:
        """Equal for equal requests only."""
        return hashlib.sha256(f"{self.operation}\n".encode() + self.payload).hexdigest()
