"""Which models are served and what they can do."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from deployments.gateway.context import Gateway
from deployments.gateway.model import find_model


def routes(gateway: Gateway) -> APIRouter:
    """The list of models, and each."""
    router = APIRouter(prefix="/v1/models", tags=["models"])
    created = int(gateway.started)

    @router.get("")
    async def models() -> dict[str, Any]:
        """All models, with their capabilities under `dllm`."""
        return {"object": "list", "data": [model.as_json(created) for model in gateway.models.values()]}

    @router.get("/{model_id:path}")
    async def model(model_id: str) -> dict[str, Any]:
        """One model."""
        return find_model(gateway.models, model_id).as_json(created)

    return router
