"""What the endpoints share, and what they know of a request before they read its body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from deployments.execution.executions import Executions
from deployments.gateway.arrival import Arrival
from deployments.gateway.auth import access_of
from deployments.gateway.ids import Clock, Entropy, ulid
from deployments.gateway.model import Model
from deployments.gateway.settings import GatewaySettings
from deployments.gateway.shared import Shared
from deployments.telemetry.observation import Observation, Telemetry
from deployments.tenancy.account import Accounts

if TYPE_CHECKING:
    from deployments.state.store import RequestStore
    from deployments.tenancy.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that the application is wired from. ``started`` is in Unix seconds."""

    models: Mapping[str, Model]
    shared: Shared
    accounts: Accounts
    executions: Executions
    settings: GatewaySettings
    clock: Clock
    entropy: Entropy
    started: float
    telemetry: Telemetry = field(default_factory=Telemetry)

    @property
    def store(self) -> RequestStore:
        """Where the requests are kept."""
        return self.shared.store

    @property
    def ledger(self) -> Ledger:
        """Where their costs are kept."""
        return self.shared.ledger

    def new_id(self, prefix: str) -> str:
        """An id that nobody else has."""
        return f"{prefix}-{ulid(self.clock(), self.entropy)}"

    def new_seed(self) -> int:
        """A seed for a request that names none."""
        return int.from_bytes(self.entropy(8), "big") >> 1


def observation_of(request: Request) -> Observation:
    """What is seen of a request over HTTP."""
    seen: Observation = request.state.observation
    return seen


async def arrival_of(request: Request) -> Arrival:
    """A request over HTTP, as the layers around the endpoints established it. Headers of one name are one, joined."""
    names = dict.fromkeys(name.lower() for name in request.headers)
    headers = {name: ", ".join(request.headers.getlist(name)) for name in names}
    operation = f"{request.method} {request.url.path}"
    body = await request.body()
    return Arrival(access_of(request), request.state.request_id, operation, headers, body, observation_of(request))
