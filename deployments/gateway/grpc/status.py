"""A failure as the status that ends a call."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status

from deployments.errors import InsufficientQuota, RateLimitExceeded, ServingError

DOMAIN = "dllm"

LONGEST_TEXT = 1024
"""Characters of a text. The whole of a status travels in one header, and 8 KiB of headers are what clients take."""


def status_of(error: ServingError, request_id: str, jitter: float) -> Status:
    """The status of ``error``, with all that its client may act on. ``jitter`` is as in the HTTP headers."""
    status = Status(code=grpc.StatusCode[error.grpc_status].value[0], message=str(error)[:LONGEST_TEXT])
    for detail in _details(error, request_id, jitter):
        status.details.add().Pack(detail)
    return status


def _details(error: ServingError, request_id: str, jitter: float) -> Iterator[Message]:
    text = str(error)[:LONGEST_TEXT]
    yield ErrorInfo(reason=error.code, domain=DOMAIN, metadata=_facts(error))
    if error.parameter is not None:
        violation = BadRequest.FieldViolation(field=error.parameter, description=text, reason=error.code.upper())
        yield BadRequest(field_violations=[violation])
    if isinstance(error, RateLimitExceeded | InsufficientQuota):
        yield QuotaFailure(violations=[QuotaFailure.Violation(subject=error.code, description=text)])
    wait = error.headers(jitter).get("retry-after-ms")
    if wait is not None:
        delay = Duration()
        delay.FromMilliseconds(int(wait))
        yield RetryInfo(retry_delay=delay)
    yield RequestInfo(request_id=request_id)


def _facts(error: ServingError) -> dict[str, str]:
    """The numbers and names of the error object, and whether to retry where that is not as usual."""
    facts = {name: str(value) for name, value in error.details.items() if isinstance(value, str | int | float)}
    return facts if error.should_retry is None else {**facts, "should_retry": str(error.should_retry).lower()}
