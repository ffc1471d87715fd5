"""From a planned request to the work that is accepted: its record, and what its client is told besides the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from deployments.execution.execution import Work
from deployments.execution.sight import TRACE
from deployments.gateway.fields import LONGEST_NAME
from deployments.gateway.pieces import Hole
from deployments.gateway.shared import queue_name
from deployments.state.record import RequestRecord
from deployments.telemetry import attributes
from deployments.telemetry.tracing import traceparent_of
from deployments.tenancy.account import Terms
from deployments.tenancy.ledger.records import TENANCY, work_units
from dllm_worker.bound import most_work

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from deployments.gateway.arrival import Arrival
    from deployments.gateway.bands import ServiceTier
    from deployments.gateway.model import Model
    from deployments.gateway.plan import Plan
    from deployments.telemetry.observation import Observation
    from deployments.tenancy.tenant import Access, Band

MAX_IGNORED_NAMES = 32
PRIORITIES: Mapping[Band, int] = {"interactive": 0, "default": 0, "flex": -1}
"""Of requests that have had their turn, which a replica takes first: whose turn it is has been decided fairly, and flex
makes way for everyone.
"""


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
    @property
    def service_tier(self) -> ServiceTier | None: ...
    def ignored(self) -> Iterator[str]:
        """The names of the fields that were sent and are not known."""


def terms_of_answer(access: Access, band: Band, model: Model, plan: Plan) -> Terms:
    """The terms of the first answer to a request: where it waits, what it can cost at most, and who pays."""
    holes = sum(piece.length for piece in plan.pieces if isinstance(piece, Hole))
    return Terms(
        reservation=plan.request.id,
        queue=queue_name(model.id, model.pool.canvas_class(plan.request)),
        key=access.key.id,
        band=band,
        weight=access.tenant.weight,
        work_weight=model.work_weight,
        work=work_units(most_work(plan.request, model.description.spec), model.work_weight),
        tokens=len(plan.request.prompt) + holes,
        cap=access.tenant.limits.queued,
    )


def note_plan(seen: Observation, plan: Plan, band: Band, choices: int) -> None:
    """Enter what will run: numbers and names, none of the client's words."""
    request, sampling = plan.request, plan.request.sampling
    seen.band, seen.answer_id = band, request.id
    if not seen.span.is_recording():
        return
    asked: dict[str, AttributeValue | None] = {
        attributes.REQUEST_SEED: sampling.seed,
        attributes.REQUEST_MAX_TOKENS: sum(piece.length for piece in plan.pieces if isinstance(piece, Hole)),
        attributes.REQUEST_TEMPERATURE: sampling.temperature,
        attributes.REQUEST_CHOICES: choices,
        attributes.REQUEST_STREAM: seen.streams,
        attributes.CANVAS_LENGTH: request.canvas_length,
        attributes.SAMPLER: sampling.algorithm,
        attributes.THRESHOLD: sampling.threshold,
        attributes.MAX_STEPS: sampling.max_steps,
    }
    seen.span.set_attributes({name: value for name, value in asked.items() if value is not None})


def accepted(
    arrival: Arrival,
    body: Body,
    model: Model,
    plan: Plan,
    endpoint: str,
    created: int,
    told: Mapping[str, Any],
    terms: Terms,
) -> Work:
    """The work of a plan whose answer ``endpoint`` tells. ``told`` are the parameters of that, for the record."""
    tenant = arrival.tenant.name
    trace = traceparent_of(arrival.observation.context)
    labels = {
        "user": body.user,
        "safety_identifier": body.safety_identifier,
        "prompt_cache_key": body.prompt_cache_key,
    }
    parameters = plan.as_json() | {
        "stream": bool(body.stream),
        "request_id": arrival.request_id,
        "revision": model.description.revision,
        "metadata": dict(body.metadata or {}),
        **{name: _hashed(tenant, value) for name, value in labels.items() if value is not None},
        **told,
        **({TRACE: trace} if trace else {}),
        TENANCY: terms.as_json(),
    }
    record = RequestRecord(
        id=plan.request.id,
        tenant=tenant,
        model=model.id,
        endpoint=endpoint,
        parameters=parameters,
        created_at=float(created),
        updated_at=float(created),
    )
    priority = PRIORITIES[terms.band]
    return Work(record, model, replace(plan, request=replace(plan.request, priority=priority)))


def headers_of(body: Body, work: Work) -> dict[str, str]:
    """What is said of the request beside its answer."""
    headers = {"x-dllm-model-revision": work.model.description.revision}
    if work.plan.effort is not None:
        headers["x-dllm-effort"] = str(work.plan.effort)
    ignored = sorted(body.ignored())[:MAX_IGNORED_NAMES]
    if ignored:
        names = (quote(name[:LONGEST_NAME], safe="[]", errors="replace") for name in ignored)
        headers["x-dllm-ignored-params"] = ",".join(names)
    return headers


def _hashed(tenant: str, value: str) -> str:
    """SHA-256 of a client's label, so that labels of two tenants cannot be compared."""
    return hashlib.sha256(f"{tenant}\0{value}".encode()).hexdigest()
