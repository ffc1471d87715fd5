"""The endpoints that generate text."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from deployments.errors import InvalidRequest
from deployments.gateway.acceptance import accepted, headers_of
from deployments.gateway.context import Gateway, caller
from deployments.gateway.endpoints.answer import answer, planner
from deployments.gateway.model import Model, find_model
from deployments.gateway.plan import Plan
from deployments.gateway.schema import ChatBody, CompletionBody, GenerationBody, InfillBody
from deployments.gateway.telling import CHAT, COMPLETIONS, INFILL


def routes(gateway: Gateway) -> APIRouter:
    """Chat, completions and infill."""
    router = APIRouter(tags=["generate"])

    async def told(request: Request, body: GenerationBody, model: Model, plan: Plan, endpoint: str) -> Response:
        _require_stream(body)
        options, stored = body.stream_options, bool(body.store_stream)
        telling = {"include_usage": bool(options and options.include_usage), "store_stream": stored}
        work = accepted(caller(request), body, model, plan, endpoint, int(gateway.clock()), telling)
        work = replace(work, record=replace(work.record, durable=stored))
        return await answer(gateway, request, work, headers_of(body, work), outlives_client=stored)

    @router.post(CHAT)
    async def chat(request: Request, body: ChatBody) -> Response:
        """Answer a conversation."""
        model = find_model(gateway.models, body.model)
        plan = planner(gateway, request, model, gateway.new_id("chatcmpl")).chat(body)
        return await told(request, body, model, plan, CHAT)

    @router.post(COMPLETIONS)
    async def completion(request: Request, body: CompletionBody) -> Response:
        """Continue a prompt; with `suffix`, write what stands between the two."""
        model = find_model(gateway.models, body.model)
        plan = planner(gateway, request, model, gateway.new_id("cmpl")).completion(body)
        return await told(request, body, model, plan, COMPLETIONS)

    @router.post(INFILL)
    async def infill(request: Request, body: InfillBody) -> Response:
        """Fill the holes of a template. Everything but its holes is answered as it was given."""
        model = find_model(gateway.models, body.model)
        plan = planner(gateway, request, model, gateway.new_id("infill")).infill(body)
        return await told(request, body, model, plan, INFILL)

    return router


def _require_stream(body: GenerationBody) -> None:
    """Refuse what means nothing to an answer in one piece."""
    for name in ("stream_options", "store_stream"):
        if getattr(body, name) and not body.stream:
            raise InvalidRequest(f"{name} needs 'stream': true.", parameter=name)
