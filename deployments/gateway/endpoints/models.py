"""Which models are served and what they can do."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from deployments.gateway.answers import ModelAnswer, ModelList
from deployments.gateway.auth import access_of
from deployments.gateway.context import Gateway
from deployments.gateway.documentation import answered
from deployments.gateway.model import find_model


def routes(gateway: Gateway) -> APIRouter:
    """The list of models, and each."""
    router = APIRouter(prefix="/v1/models", tags=["models"])
    created = int(gateway.started)

    @router.get("", response_model=None, responses=answered(ModelList))
    async def models(request: Request) -> dict[str, Any]:
        """The models that the key opens, with their capabilities under `dllm`."""
        access = access_of(request)
        permitted = [model for model_id, model in gateway.models.items() if access.may_use(model_id)]
        return {"object": "list", "data": [model.as_json(created) for model in permitted]}

    @router.get("/{model_id:path}", response_model=None, responses=answered(ModelAnswer))
    async def model(request: Request, model_id: str) -> dict[str, Any]:
        """One model."""
        return find_model(gateway.models, model_id, access_of(request)).as_json(created)

    return router
