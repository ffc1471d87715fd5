"""The application: endpoints in the middle, layers around them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import Response

from deployments.execution.executions import Executions
from deployments.gateway.auth import Authentication, KeyRing
from deployments.gateway.body import BodyGate
from deployments.gateway.context import Gateway
from deployments.gateway.edge import Edge
from deployments.gateway.endpoints import generations, health, models, requests, responses
from deployments.gateway.ids import Clock, Entropy, ulid
from deployments.gateway.model import Model
from deployments.gateway.schema import ErrorBody
from deployments.gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from deployments.state.store import RequestStore

DOCUMENTED_ERRORS = {"4XX": "The request is refused; retry only what says so.", "5XX": "The service failed; retry."}


def create_app(
    models_by_id: Mapping[str, Model],
    store: RequestStore,
    keys: Mapping[str, str],
    settings: GatewaySettings | None = None,
    *,
    clock: Clock = time.time,
    entropy: Entropy = os.urandom,
) -> FastAPI:
    """The gateway over ``models_by_id``; ``keys`` maps an API key to its tenant. Other origins get no CORS headers.

    Tracing belongs to Ray Serve: FastAPI's own spans would come between those of the proxy and the replica.
    """
    settings = settings or GatewaySettings()
    executions = Executions(store, models_by_id, clock, f"gateway-{ulid(clock(), entropy)}", settings.execution)
    gateway = Gateway(models_by_id, store, executions, settings, clock, entropy, started=clock())
    app = FastAPI(
        lifespan=lambda app: _serving(executions),
        title="dLLM cluster",
        version=settings.version,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        responses={family: {"model": ErrorBody, "description": text} for family, text in DOCUMENTED_ERRORS.items()},
        exception_handlers={RequestValidationError: _leave_to_edge, HTTPException: _leave_to_edge},
    )
    documented_key = Depends(HTTPBearer(auto_error=False))
    for group in (models, generations, responses, requests):
        app.include_router(group.routes(gateway), dependencies=[documented_key])
    app.include_router(health.routes(gateway))
    app.add_middleware(BodyGate, max_bytes=settings.max_body_bytes, timeout_seconds=settings.body_timeout_seconds)
    app.add_middleware(Authentication, keys=KeyRing(keys))
    app.add_middleware(Edge, clock=clock, entropy=entropy)
    return app


@asynccontextmanager
async def _serving(executions: Executions) -> AsyncIterator[None]:
    """Look after the requests of this gateway, and of those that are gone, until it stops."""
    service = asyncio.create_task(executions.serve(), name="executions")
    try:
        yield
    finally:
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)
        await executions.close()


async def _leave_to_edge(request: Request, error: Exception) -> Response:
    """The framework's own answers have another shape; :class:`Edge` tells all failures alike."""
    raise error
