"""The endpoints that generate text."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from deployments.gateway.context import Gateway, caller
from deployments.gateway.endpoints.answer import answer
from deployments.gateway.model import Model, find_model
from deployments.gateway.openai import ChatDialect, CompletionDialect, InfillDialect
from deployments.gateway.pieces import Hole
from deployments.gateway.plan import Planner
from deployments.gateway.schema import ChatBody, CompletionBody, GenerationBody, InfillBody


def routes(gateway: Gateway) -> APIRouter:
    """Chat, completions and infill."""
    router = APIRouter(prefix="/v1", tags=["generate"])

    def planner(model: Model, request_id: str, request: Request) -> Planner:
        default, salt = gateway.settings.default_max_tokens, caller(request).cache_salt
        return Planner(model.description, model.text, default, request_id, gateway.new_seed(), salt)

    def begin(body: GenerationBody, prefix: str) -> tuple[Model, str, int]:
        return find_model(gateway.models, body.model), gateway.new_id(prefix), int(gateway.clock())

    @router.post("/chat/completions")
    async def chat(request: Request, body: ChatBody) -> Response:
        """Answer a conversation."""
        model, answer_id, created = begin(body, "chatcmpl")
        plan = planner(model, answer_id, request).chat(body)
        dialect = ChatDialect(answer_id, created, model.id, model.description.revision)
        return await answer(gateway, request, body, model, plan, dialect)

    @router.post("/completions")
    async def completion(request: Request, body: CompletionBody) -> Response:
        """Continue a prompt; with `suffix`, write what stands between the two."""
        model, answer_id, created = begin(body, "cmpl")
        plan = planner(model, answer_id, request).completion(body)
        dialect = CompletionDialect(answer_id, created, model.id, model.description.revision)
        return await answer(gateway, request, body, model, plan, dialect)

    @router.post("/infill")
    async def infill(request: Request, body: InfillBody) -> Response:
        """Fill the holes of a template. Everything but its holes is answered as it was given."""
        model, answer_id, created = begin(body, "infill")
        plan = planner(model, answer_id, request).infill(body)
        holes = sum(isinstance(piece, Hole) for piece in plan.pieces)
        dialect = InfillDialect(answer_id, created, model.id, model.description.revision, holes)
        return await answer(gateway, request, body, model, plan, dialect)

    return router
