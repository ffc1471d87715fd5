"""``grpc.health.v1.Health``: whether the services answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING

from grpc_health.v1.health_pb2 import HealthCheckResponse, HealthListResponse

from deployments.errors import NotFound
from deployments.gateway.grpc.services import HEALTH, INFERENCE, OPEN_INFERENCE
from deployments.gateway.readiness import ready_models

if TYPE_CHECKING:
    from deployments.gateway.context import Gateway

SERVICES = ("", INFERENCE, OPEN_INFERENCE, HEALTH)
LOOK_SECONDS = 1.0
"""Between two looks at the pools, for those who watch."""

Sleep = Callable[[float], Awaitable[None]]


async def check(gateway: Gateway, service: str) -> HealthCheckResponse:
    """Whether a model is ready; an empty ``service`` stands for all of them. Raises :class:`NotFound`."""
    status = await _status(gateway, service)
    if status == HealthCheckResponse.SERVICE_UNKNOWN:
        raise NotFound("There is no such service.", parameter="service")
    return HealthCheckResponse(status=status)


async def watch(gateway: Gateway, service: str, sleep: Sleep = asyncio.sleep) -> AsyncGenerator[HealthCheckResponse]:
    """The same at once and whenever it changes, for as long as someone listens."""
    told = None
    while True:
        status = await _status(gateway, service)
        if status != told:
            told = status
            yield HealthCheckResponse(status=status)
        await sleep(LOOK_SECONDS)


async def all_services(gateway: Gateway) -> HealthListResponse:
    """The same for each service."""
    return HealthListResponse(statuses={service: await check(gateway, service) for service in SERVICES})


async def _status(gateway: Gateway, service: str) -> HealthCheckResponse.ServingStatus:
    if service not in SERVICES:
        return HealthCheckResponse.SERVICE_UNKNOWN
    ready = any((await ready_models(gateway)).values())
    return HealthCheckResponse.SERVING if ready else HealthCheckResponse.NOT_SERVING
