"""A request for each error that a client of the tenants' endpoints can meet, whatever protocol brings it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments import errors
from deployments.errors import ServingError
from deployments.execution.settings import ExecutionSettings
from deployments.gateway.settings import GatewaySettings
from deployments.tenancy.declared import TenantConfig, TenantLimits
from deployments.tenancy.directory.directory import Declared
from dllm_worker.request import Request
from tests.deployments.gateway.scripted import TENANT, Step, saying, tenancy

PATHS = {"chat": "/v1/chat/completions", "completion": "/v1/completions", "infill": "/v1/infill"}
COMPLETION: Mapping[str, Any] = {"model": "tiny", "prompt": "hi", "max_tokens": 4}
INFILL: Mapping[str, Any] = {"model": "tiny", "template": "{{hole}}"}
WRONG_KEY = {"authorization": "Bearer wrong"}
FAILURES_PER_MINUTE = 20

Script = Callable[[Request], Iterable[Step]]


@dataclass(frozen=True, slots=True)
class Case:
    """``before`` the request there are others, with these headers; if ``under_way`` one of the same body and headers
    has begun and does not end.
    """

    error: type[ServingError]
    body: Mapping[str, Any] = field(default_factory=lambda: COMPLETION)
    kind: str = "completion"
    headers: Mapping[str, str] = field(default_factory=dict)
    before: tuple[tuple[Mapping[str, Any], Mapping[str, str]], ...] = ()
    under_way: bool = False
    script: Script = field(default_factory=lambda: saying("ok"))
    limits: TenantLimits | None = None
    settings: GatewaySettings | None = None

    def __str__(self) -> str:
        return self.error.__name__

    @property
    def declared(self) -> Declared:
        """The tenants, with the limits of the case."""
        return tenancy() if self.limits is None else tenancy(TenantConfig(name=TENANT, limits=self.limits))


def raising(error: Exception) -> Script:
    """A replica that answers with ``error`` before it admits anything."""
    return lambda request: [error]


def endless(request: Request) -> Iterator[Step]:
    """A replica that admits the request and goes on for ever."""
    yield ()
    yield asyncio.Event()


KEY = {"idempotency-key": "once"}

CASES = (
    Case(errors.InvalidRequest, {**COMPLETION, "max_tokens": 0}),
    Case(errors.ContextLengthExceeded, {**COMPLETION, "max_tokens": 10**6}),
    Case(errors.UnsupportedParameter, {**INFILL, "diffusion": {"block_length": 8}}, "infill"),
    Case(errors.WorkExceedsLimit, limits=TenantLimits(work_per_minute=1)),
    Case(errors.InvalidApiKey, headers=WRONG_KEY),
    Case(errors.InsufficientQuota, before=((COMPLETION, {}),), limits=TenantLimits(work_per_day=24)),
    Case(errors.PermissionDenied, {**COMPLETION, "service_tier": "priority"}),
    Case(errors.ModelNotFound, {**COMPLETION, "model": "huge"}),
    Case(errors.IdempotencyInProgress, headers=KEY, under_way=True, script=endless),
    Case(
        errors.RequestTooLarge,
        {**COMPLETION, "prompt": "x" * 1000},
        settings=GatewaySettings(max_body_bytes=1000),
    ),
    Case(errors.IdempotencyKeyReused, headers=KEY, before=(({**COMPLETION, "seed": 1}, KEY),)),
    Case(errors.RateLimitExceeded, before=((COMPLETION, {}),), limits=TenantLimits(requests_per_minute=1)),
    Case(errors.ConcurrencyExceeded, under_way=True, script=endless, limits=TenantLimits(concurrency=1)),
    Case(errors.QueueFull, script=raising(errors.QueueFull())),
    Case(errors.TooManyFailedAttempts, headers=WRONG_KEY, before=((COMPLETION, WRONG_KEY),) * FAILURES_PER_MINUTE),
    Case(errors.InternalError, script=raising(ValueError("a defect"))),
    Case(errors.ReplicasLost, script=lambda request: [()]),
    Case(errors.Unavailable, script=raising(errors.Unavailable())),
    Case(errors.Overloaded, script=raising(errors.Overloaded())),
    Case(errors.NoReplica, script=raising(errors.NoReplica())),
    Case(
        errors.Draining,
        script=raising(errors.Draining()),
        settings=GatewaySettings(execution=ExecutionSettings(patience_seconds=-1.0)),
    ),
    Case(errors.DeadlineExceeded, script=raising(errors.DeadlineExceeded())),
)
"""Over every protocol."""

REST_ONLY: Mapping[type[ServingError], str] = {
    errors.UnknownParameter: "a message of gRPC has no fields that its definition does not have",
    errors.NotFound: "gRPC answers for its own methods",
    errors.ResponseNotFound: "it is about other methods",
    errors.MethodNotAllowed: "gRPC has one way to call a method",
    errors.RequestTimeout: "gRPC has its own deadline",
    errors.UnsupportedMediaType: "gRPC has one media type",
    errors.StreamLogFull: "it is about what is stored for REST",
}

INTERNAL: Mapping[type[ServingError], str] = {
    errors.ClientClosedRequest: "its client has left: logs and metrics only",
    errors.RequestCancelled: "a client that follows the stream of a cancelled request is told inside of it",
    errors.ReplicaLost: "such a request is tried again elsewhere, or told as replicas_lost",
    errors.ReplicaSilent: "as replica_lost",
    errors.GatewayLost: "in the record of a request whose gateway is gone, with its connections",
    errors.TakenOver: "who reads the answer is told on from the log",
    errors.TenantNotFound: "the operator's endpoints",
    errors.KeyNotFound: "the operator's endpoints",
    errors.Conflict: "the operator's endpoints",
}
"""Errors that no request of a tenant is answered with, and why."""
