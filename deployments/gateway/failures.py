"""Every exception as the error that the client is told."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from deployments.errors import (
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    ServingError,
    UnknownParameter,
    UnsupportedParameter,
)
from deployments.gateway.ascii_json import ascii_json
from deployments.gateway.fields import LONGEST_NAME, UNSUPPORTED
from deployments.gateway.limit_headers import headers_of_refusal

logger = logging.getLogger(__name__)

FAULTS: Mapping[str, type[InvalidRequest]] = {UNSUPPORTED: UnsupportedParameter, "extra_forbidden": UnknownParameter}


def told(error: Exception, request_id: str) -> ServingError:
    """The error to tell. A defect is logged under the request id and told as no more than that."""
    if isinstance(error, ServingError):
        return error
    if isinstance(error, RequestValidationError):
        return _refused_field(error.errors()[0])
    if isinstance(error, HTTPException):
        return _refused_route(error)
    logger.error("request %s failed", request_id, exc_info=error)
    return InternalError()


def beside(error: Exception) -> dict[str, str]:
    """What the framework says beside its refusal, as ``Allow``."""
    return dict(error.headers or {}) if isinstance(error, HTTPException) else {}


def error_response(failure: ServingError, request_id: str, jitter: float, headers: dict[str, str]) -> Response:
    """The error as a whole answer, with ``headers`` and its own."""
    headers = headers | headers_of_refusal(failure)
    body = ascii_json(failure.envelope(request_id))
    return Response(body, failure.status, headers | failure.headers(jitter), media_type="application/json")


def _refused_route(error: HTTPException) -> ServingError:
    """What the framework refuses before an endpoint is reached: the route, the method, or a body it cannot read."""
    if error.status_code == NotFound.status:
        return NotFound()
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed()
    return InvalidRequest("The body is not valid JSON.")


def _refused_field(fault: dict[str, Any]) -> InvalidRequest:
    if fault["type"] == "json_invalid":
        return InvalidRequest(f"The body is not valid JSON: {fault['ctx']['error']}.")
    parameter = field_path(fault["loc"][1:])
    kind = FAULTS.get(fault["type"], InvalidRequest)
    return kind(f"{parameter or 'body'}: {fault['msg']}", parameter=parameter or None)


def field_path(location: tuple[str | int, ...]) -> str:
    """A field as clients write it: ``messages[0].content``."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part[:LONGEST_NAME]}"
    return path.removeprefix(".")
