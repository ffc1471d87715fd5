"""What Prometheus reads."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from deployments.telemetry.collection import Collection
from deployments.telemetry.exposition import PATH


def routes(collection: Collection) -> APIRouter:
    """The metrics of every process of the cluster, whichever gateway is asked."""
    router = APIRouter(tags=["metrics"])

    @router.get(PATH, response_class=Response)
    async def metrics(request: Request) -> Response:
        """Prometheus' text format, or OpenMetrics where ``Accept`` asks for it, which has exemplars. The label
        `process` says whose a series is.
        """
        content_type, content = await collection.collect(request.headers.get("accept", ""))
        return Response(content, media_type=content_type)

    return router
