"""The endpoints that generate text."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from deployments.gateway import operations
from deployments.gateway.answers import ChatAnswer, CompletionAnswer, InfillAnswer
from deployments.gateway.context import Gateway, arrival_of
from deployments.gateway.documentation import answered, request_headers
from deployments.gateway.endpoints.answer import told
from deployments.gateway.schema import ChatBody, CompletionBody, InfillBody
from deployments.gateway.telling import CHAT, COMPLETIONS, INFILL


def routes(gateway: Gateway) -> APIRouter:
    """Chat, completions and infill."""
    router = APIRouter(tags=["generate"], dependencies=[Depends(request_headers)])

    @router.post(CHAT, responses=answered(ChatAnswer, streams=True))
    async def chat(request: Request, body: ChatBody) -> Response:
        """Answer a conversation."""
        return await told(gateway, request, await operations.chat(gateway, await arrival_of(request), body))

    @router.post(COMPLETIONS, responses=answered(CompletionAnswer, streams=True))
    async def completion(request: Request, body: CompletionBody) -> Response:
        """Continue a prompt; with `suffix`, write what stands between the two."""
        return await told(gateway, request, await operations.completion(gateway, await arrival_of(request), body))

    @router.post(INFILL, responses=answered(InfillAnswer, streams=True))
    async def infill(request: Request, body: InfillBody) -> Response:
        """Fill the holes of a template. Everything but its holes is answered as it was given."""
        return await told(gateway, request, await operations.infill(gateway, await arrival_of(request), body))

    return router
