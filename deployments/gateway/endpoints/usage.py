"""What a tenant has used: by day and model, and request by request."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from deployments.errors import Unavailable
from deployments.gateway.answers import UsageAnswer
from deployments.gateway.auth import access_of
from deployments.gateway.context import Gateway
from deployments.gateway.documentation import answered
from deployments.state.store import StateError
from deployments.tenancy.ledger.export import MEDIA_TYPES, Format, exported
from deployments.tenancy.ledger.period import Period, period_of
from deployments.tenancy.ledger.sums import COUNTERS

if TYPE_CHECKING:
    from deployments.tenancy.ledger.ledger import Ledger

logger = logging.getLogger(__name__)

Start = Annotated[
    str | None,
    Query(
        description="The first UTC day; the first of the month if there is none.",
        json_schema_extra={"format": "date"},
    ),
]
End = Annotated[
    str | None, Query(description="The last UTC day; today if there is none.", json_schema_extra={"format": "date"})
]
Form = Annotated[Format, Query(alias="format", description="JSON Lines, or CSV by RFC 4180.")]

DOWNLOADS: dict[str, Any] = {media_type.partition(";")[0]: {} for media_type in MEDIA_TYPES.values()}


def routes(gateway: Gateway) -> APIRouter:
    """The usage of the caller's tenant."""
    router = APIRouter(prefix="/v1/usage", tags=["usage"])

    @router.get("", response_model=None, responses=answered(UsageAnswer))
    async def usage(request: Request, start: Start = None, end: End = None) -> dict[str, Any]:
        """Sums by day and model, and over all of them."""
        tenant = _reader(request)
        return await usage_of(gateway.ledger, tenant, period_of(start, end, gateway.clock()))

    @router.get("/entries", response_class=StreamingResponse, responses={200: {"content": DOWNLOADS}})
    async def entries(
        request: Request, start: Start = None, end: End = None, form: Form = "jsonl"
    ) -> StreamingResponse:
        """The ledger's entries, one for each answer, in the order in which they were written."""
        tenant = _reader(request)
        return await export_of(gateway.ledger, tenant, period_of(start, end, gateway.clock()), form)

    return router


async def usage_of(ledger: Ledger, tenant: str, period: Period) -> dict[str, Any]:
    """The sums of a tenant as they are told. Raises :class:`Unavailable`."""
    try:
        rows = await ledger.usage(tenant, period.start, period.end)
    except StateError as error:
        raise _unreadable(tenant, error) from error
    data = [{"day": row.day, "model": row.model, **{name: getattr(row, name) for name in COUNTERS}} for row in rows]
    total = {name: sum(row[name] for row in data) for name in COUNTERS}
    return {"object": "list", "start": period.start, "end": period.end, "data": data, "total": total}


async def export_of(ledger: Ledger, tenant: str, period: Period, form: Format) -> StreamingResponse:
    """The entries of a tenant as a download. Raises :class:`Unavailable` when it cannot be begun; one that cannot be
    finished ends with its connection.
    """
    pieces = exported(ledger.entries(tenant, period.start, period.end), form)
    try:
        first = await anext(pieces)
    except StateError as error:
        raise _unreadable(tenant, error) from error
    name = f"usage-{tenant}-{period.start}-{period.end}.{form}"
    headers = {"content-type": MEDIA_TYPES[form], "content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_with(first, pieces), headers=headers)


def _reader(request: Request) -> str:
    """The tenant whose usage the key opens. Raises :class:`deployments.errors.PermissionDenied`."""
    access = access_of(request)
    access.require("usage:read")
    return access.tenant.name


def _unreadable(tenant: str, error: StateError) -> Unavailable:
    logger.warning("the usage of tenant %s cannot be read: %r", tenant, error)
    return Unavailable("The usage cannot be read now.")


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    yield first
    async for piece in rest:
        yield piece
