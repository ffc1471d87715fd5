"""The operator's application: an address and a credential of its own, so that no tenant comes near it."""

from __future__ import annotations

import os
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import Response

from deployments.autoscaling.journal import Segments
from deployments.errors import TenantNotFound, Unavailable
from deployments.gateway.admin import autoscaling, keys, limits, metrics, queues, tenants, usage
from deployments.gateway.admin.context import Administration
from deployments.gateway.admin.credential import OPEN, AdminCredential
from deployments.gateway.body import BodyGate
from deployments.gateway.edge import Edge, leave_to_edge
from deployments.gateway.ids import Clock, Entropy
from deployments.gateway.schema import ErrorBody
from deployments.gateway.witness import Witness
from deployments.state.store import Missing, StateUnavailable
from deployments.telemetry.collection import Collection

if TYPE_CHECKING:
    from deployments.gateway.shared import Shared

PREFIX = "/admin/v1"
MAX_BODY_BYTES = 64 << 10
BODY_TIMEOUT_SECONDS = 10.0


def create_admin_app(
    shared: Shared,
    collection: Collection,
    segments: Segments,
    key_digest: str,
    clock: Clock = time.time,
    entropy: Entropy = os.urandom,
) -> FastAPI:
    """The operator's endpoints over what all gateways share, the metrics of ``collection``, and what the autoscaler
    writes into ``segments``. ``key_digest`` is the hex SHA-256 of the admin key.
    """
    administration = Administration(shared, clock, entropy)
    app = FastAPI(
        title="dLLM cluster, administration",
        version=version("dllm-cluster"),
        telemetry={"tracing": False, "metrics": False, "logs": False},
        responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}},
        exception_handlers={
            RequestValidationError: leave_to_edge,
            HTTPException: leave_to_edge,
            StateUnavailable: _unavailable,
            Missing: _gone,
        },
    )
    documented_key = Depends(HTTPBearer(auto_error=False))
    for group in (tenants, keys, limits, usage, queues):
        app.include_router(group.routes(administration), prefix=PREFIX, dependencies=[documented_key])
    app.include_router(autoscaling.routes(segments, clock), prefix=PREFIX, dependencies=[documented_key])
    app.include_router(metrics.routes(collection), dependencies=[documented_key])
    app.include_router(_health())
    app.add_middleware(BodyGate, max_bytes=MAX_BODY_BYTES, timeout_seconds=BODY_TIMEOUT_SECONDS)
    app.add_middleware(AdminCredential, key_digest=key_digest)
    app.add_middleware(Edge, witness=Witness(None, clock, entropy))
    return app


def _health() -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get(OPEN)
    async def health() -> dict[str, str]:
        """The process answers."""
        return {"status": "live"}

    return router


async def _unavailable(request: Request, error: Exception) -> Response:
    raise Unavailable("The state cannot be reached now.") from error


async def _gone(request: Request, error: Exception) -> Response:
    """A tenant was removed while its key was written."""
    raise TenantNotFound from error
