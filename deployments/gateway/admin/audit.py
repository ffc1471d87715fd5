"""What the operator has changed, one log line a change."""

from __future__ import annotations

import logging

from starlette.requests import Request

logger = logging.getLogger(__name__)


def record(request: Request, what: str, tenant: str, key: str | None = None) -> None:
    """Log that ``what`` was done to a tenant or to one of its keys, named by its public id.

    It is a warning, since logs are often set to hold nothing below.
    """
    logger.warning(
        "audit: who=admin what=%s tenant=%s key=%s request=%s", what, tenant, key or "-", request.state.request_id
    )
