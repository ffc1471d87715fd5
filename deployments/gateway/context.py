"""What the endpoints share, and what they know of a request before they read its body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from deployments.execution.executions import Executions
from deployments.gateway.auth import KeyHolder
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
    executions: Executions
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
    """Who asks, whose cached prefixes may be used, and under which request id."""

    tenant: str
    cache_salt: str
    request_id: str


def caller(request: Request) -> Caller:
    """The caller as the layers around the endpoints established it."""
    holder: KeyHolder = request.state.holder
    return Caller(holder.tenant, holder.cache_salt, request.state.request_id)
