"""What tenants have used."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from deployments.gateway.admin.context import Administration
from deployments.gateway.admin.shapes import Json
from deployments.gateway.endpoints.usage import End, Form, Start, export_of, usage_of
from deployments.tenancy.ledger.period import period_of


def routes(administration: Administration) -> APIRouter:
    """The usage of one tenant; that of one which was removed can still be read."""
    router = APIRouter(prefix="/tenants/{name}/usage", tags=["usage"])
    ledger, clock = administration.shared.ledger, administration.clock

    @router.get("")
    async def usage(name: str, start: Start = None, end: End = None) -> Json:
        """Sums by day and model, and over all of them."""
        told = await usage_of(ledger, name, period_of(start, end, clock()))
        if not told["data"]:
            await administration.tenant(name)
        return {**told, "tenant": name}

    @router.get("/entries", response_class=StreamingResponse)
    async def entries(name: str, start: Start = None, end: End = None, form: Form = "jsonl") -> StreamingResponse:
        """The ledger's entries, one for each answer, in the order in which they were written."""
        return await export_of(ledger, name, period_of(start, end, clock()), form)

    return router
