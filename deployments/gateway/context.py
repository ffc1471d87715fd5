"""What the endpoints share, and what they know of a request before they read its body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from deployments.gateway.ids import Clock, Entropy, ulid
from deployments.gateway.model import Model
from deployments.gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from deployments.state.store import RequestStore


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that the application is wired from. ``started`` is in Unix seconds."""

    models: Mapping[str, Model]
    store: RequestStore
    settings: GatewaySettings
    clock: Clock
    entropy: Entropy
    started: float

    def new_id(self, prefix: str) -> str:
        """An id that nobody else has."""
        return f"{prefix}-{ulid(self.clock(), self.entropy)}"

    def new_seed(self) -> int:
        """A seed for a request that names none."""
        return int.from_bytes(self.entropy(8), "big") >> 1


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and under which request id."""

    tenant: str
    request_id: str


def caller(request: Request) -> Caller:
    """The caller as the layers around the endpoints established it."""
    return Caller(request.state.tenant, request.state.request_id)
