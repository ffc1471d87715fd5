"""What all gateways of a cluster have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployments.state.store import RequestStore
    from deployments.tenancy.directory.directory import Directory
    from deployments.tenancy.ledger.ledger import Ledger
    from deployments.tenancy.limits.limiter import Limiter
    from deployments.tenancy.queue.queue import FairQueue


@dataclass(frozen=True, slots=True)
class Shared:
    """Requests, tenants and keys, limits, bills, and for each :func:`queue_name` the queue for places there."""

    store: RequestStore
    directory: Directory
    limiter: Limiter
    ledger: Ledger
    queues: Mapping[str, FairQueue]


def queue_name(model: str, canvas_class: str) -> str:
    """The queue for the replicas of ``model`` that denoise the canvases of one class."""
    return f"{model}:{canvas_class}"
