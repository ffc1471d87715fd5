"""From a planned request to the work that is accepted: its record, and what its client is told besides the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from deployments.execution.execution import Work
from deployments.state.record import RequestRecord

if TYPE_CHECKING:
    from deployments.gateway.context import Caller
    from deployments.gateway.model import Model
    from deployments.gateway.plan import Plan

MAX_IGNORED_NAMES = 32


class Body(Protocol):
    """What the bodies of all generating endpoints have."""

    @property
    def stream(self) -> bool | None: ...
    @property
    def metadata(self) -> Mapping[str, str] | None: ...
    @property
    def user(self) -> str | None: ...
    @property
    def safety_identifier(self) -> str | None: ...
    @property
    def prompt_cache_key(self) -> str | None: ...
    def ignored(self) -> Iterator[str]:
        """The names of the fields that were sent and are not known."""


def accepted(
    asking: Caller, body: Body, model: Model, plan: Plan, endpoint: str, created: int, told: Mapping[str, Any]
) -> Work:
    """The work of a plan whose answer ``endpoint`` tells. ``told`` are the parameters of that, for the record."""
    labels = {
        "user": body.user,
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
    }
    parameters = plan.as_json() | {
        "stream": bool(body.stream),
        "request_id": asking.request_id,
        "revision": model.description.revision,
        "metadata": dict(body.metadata or {}),
        **{name: _hashed(asking.tenant, value) for name, value in labels.items() if value is not None},
        **told,
    }
    record = RequestRecord(
        id=plan.request.id,
        tenant=asking.tenant,
        model=model.id,
        endpoint=endpoint,
        parameters=parameters,
        created_at=float(created),
        updated_at=float(created),
    )
    return Work(record, model, plan)


def headers_of(body: Body, work: Work) -> dict[str, str]:
    """What is said of the request beside its answer."""
    headers = {"x-dllm-model-revision": work.model.description.revision}
    if work.plan.effort is not None:
        headers["x-dllm-effort"] = str(work.plan.effort)
    ignored = sorted(body.ignored())[:MAX_IGNORED_NAMES]
    if ignored:
        headers["x-dllm-ignored-params"] = ",".join(quote(name[:64], safe="[]", errors="replace") for name in ignored)
    return headers


def _hashed(tenant: str, value: str) -> str:
    """SHA-256 of a client's label, so that labels of two tenants cannot be compared."""
    return hashlib.sha256(f"{tenant}\0{value}".encode()).hexdigest()
