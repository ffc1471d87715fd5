"""The application: endpoints in the middle, layers around them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from deployments.execution.executions import Executions
from deployments.gateway.auth import Authentication
from deployments.gateway.body import BodyGate
from deployments.gateway.context import Gateway
from deployments.gateway.documentation import refusals
from deployments.gateway.edge import Edge, leave_to_edge
from deployments.gateway.endpoints import generations, health, models, requests, responses, usage
from deployments.gateway.ids import Clock, Entropy, ulid
from deployments.gateway.model import Model
from deployments.gateway.settings import GatewaySettings
from deployments.gateway.witness import Witness
from deployments.tenancy.account import Accounts
from deployments.tenancy.ledger.biller import Biller

if TYPE_CHECKING:
    from deployments.gateway.shared import Shared
    from deployments.telemetry.observation import Telemetry
    from deployments.tenancy.verification import Verifier

logger = logging.getLogger(__name__)

Service = Callable[[], Awaitable[None]]
"""Something that goes on beside the answers, until it is cancelled."""

AGAIN_SECONDS = 1.0


def new_owner(clock: Clock = time.time, entropy: Entropy = os.urandom) -> str:
    """A name for a gateway among the others."""
    return f"gateway-{ulid(clock(), entropy)}"


def create_gateway(
    models_by_id: Mapping[str, Model],
    shared: Shared,
    telemetry: Telemetry,
    settings: GatewaySettings | None = None,
    *,
    owner: str | None = None,
    clock: Clock = time.time,
    entropy: Entropy = os.urandom,
) -> Gateway:
    """The gateway ``owner`` over ``models_by_id`` and what it has in common with the others."""
    settings = settings or GatewaySettings()
    biller = Biller(shared.ledger, shared.store.settled, telemetry.metrics)
    accounts = Accounts(shared.limiter, shared.queues, biller)
    owner = owner or new_owner(clock, entropy)
    executions = Executions(shared.store, models_by_id, accounts, clock, owner, settings.execution, telemetry)
    return Gateway(models_by_id, shared, accounts, executions, settings, clock, entropy, clock(), telemetry)


def create_app(
    gateway: Gateway, verifier: Verifier, services: Sequence[Service] = (), checks: Sequence[Service] = ()
) -> FastAPI:
    """The REST application of ``gateway`` for those whom ``verifier`` knows. Other origins get no CORS headers.

    It does not start when one of the ``checks`` raises. While it serves, so do the executions, the verifier and the
    ``services``. Tracing belongs to Ray Serve: FastAPI's
    own spans would come between those of the proxy and the replica.
    """
    settings = gateway.settings
    app = FastAPI(
        lifespan=lambda app: _serving(gateway, (gateway.executions.serve, verifier.serve, *services), checks),
        title="dLLM cluster",
        version=settings.version,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        responses=refusals(),
        exception_handlers={RequestValidationError: leave_to_edge, HTTPException: leave_to_edge},
    )
    documented_key = Depends(HTTPBearer(auto_error=False))
    for group in (models, generations, responses, requests, usage):
        app.include_router(group.routes(gateway), dependencies=[documented_key])
    app.include_router(health.routes(gateway))
    app.add_middleware(BodyGate, max_bytes=settings.max_body_bytes, timeout_seconds=settings.body_timeout_seconds)
    app.add_middleware(Authentication, verifier=verifier)
    app.add_middleware(Edge, witness=Witness.of(gateway))
    return app


@asynccontextmanager
async def _serving(gateway: Gateway, services: Sequence[Service], checks: Sequence[Service]) -> AsyncIterator[None]:
    """Look after the requests of this gateway, and after what else goes on, until it stops."""
    for check in checks:
        await check()
    tasks = [asyncio.create_task(_repeat(service)) for service in services]
    try:
        yield
    finally:
        await gateway.executions.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await gateway.accounts.end()


async def _repeat(service: Service) -> None:
    """A service that fails is begun again: the others, and the answers, do not end with it."""
    while True:
        try:
            await service()
            return
        except Exception:
            logger.exception("a service of the gateway failed and begins again")
            await asyncio.sleep(AGAIN_SECONDS)
