"""Every way in which a call of a client can fail.

ClientError
├── ConnectionFailed              no answer came, or not all of it
├── UnexpectedAnswer              what came is not what the API defines
└── ApiError                      the service refused or failed, and says why; one class for each code
    ├── InvalidRequest
    │   ├── ContextLengthExceeded
    │   ├── UnsupportedParameter
    │   ├── UnknownParameter
    │   └── WorkExceedsLimit
    ├── InvalidApiKey
    ├── InsufficientQuota
    ├── PermissionDenied
    ├── NotFound
    │   ├── ModelNotFound
    │   ├── ResponseNotFound
    │   ├── TenantNotFound
    │   └── KeyNotFound
    ├── MethodNotAllowed
    ├── RequestTimeout
    ├── Conflict
    ├── IdempotencyInProgress
    ├── RequestTooLarge
    ├── UnsupportedMediaType
    ├── IdempotencyKeyReused
    ├── RateLimitExceeded
    │   ├── ConcurrencyExceeded
    │   ├── QueueFull
    │   └── TooManyFailedAttempts
    ├── ClientClosedRequest
    ├── RequestCancelled
    ├── InternalError
    │   ├── ReplicasLost
    │   └── StreamLogFull
    ├── Unavailable
    │   ├── Overloaded
    │   ├── NoReplica
    │   ├── ReplicaLost
    │   │   └── ReplicaSilent
    │   ├── GatewayLost
    │   │   └── TakenOver
    │   └── Draining
    └── DeadlineExceeded

What each code means is told where the service defines it, and a test holds the two trees equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class ClientError(Exception):
    """The root."""


class ConnectionFailed(ClientError):
    """No answer came, or not all of it. Whether the service did what was asked is unknown."""


class UnexpectedAnswer(ClientError):
    """What came is not what the API defines: something other than the service answered."""


class ApiError(ClientError):
    """The service's own error. Codes that this version does not know are told as this class.

    ``status`` is that of HTTP; it is ``None`` inside a stream, whose own status was a success. ``parameter`` names the
    field at fault, ``retry_after`` is the service's wait in seconds, ``details`` are further members of the error.
    """

    code: str = ""

    def __init__(
        self,
        message: str,
        code: str,
        *,
        status: int | None = None,
        parameter: str | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.status, self.parameter = code, status, parameter
        self.retry_after, self.request_id, self.details = retry_after, request_id, dict(details or {})


class InvalidRequest(ApiError):
    """The request is malformed, or asks for something impossible."""

    code = "invalid_request_error"


class ContextLengthExceeded(InvalidRequest):
    """Prompt and answer together do not fit the model."""

    code = "context_length_exceeded"


class UnsupportedParameter(InvalidRequest):
    """A parameter has a value that is not implemented."""

    code = "unsupported_parameter"


class UnknownParameter(InvalidRequest):
    """A parameter that the service does not know."""

    code = "unknown_parameter"


class WorkExceedsLimit(InvalidRequest):
    """The request may cost more than the tenant's limit allows at once; no wait helps."""

    code = "work_exceeds_limit"


class InvalidApiKey(ApiError):
    """The key is missing, unknown, expired or revoked."""

    code = "invalid_api_key"


class InsufficientQuota(ApiError):
    """The budget of the day or the month is spent; ``details`` say when the next begins."""

    code = "insufficient_quota"


class PermissionDenied(ApiError):
    """The key is valid and does not open this."""

    code = "permission_denied"


class NotFound(ApiError):
    """There is no such route."""

    code = "not_found"


class ModelNotFound(NotFound):
    """The model does not exist, or the tenant may not use it."""

    code = "model_not_found"


class ResponseNotFound(NotFound):
    """The tenant has no such request, or its record has expired."""

    code = "response_not_found"


class TenantNotFound(NotFound):
    """There is no tenant of that name."""

    code = "tenant_not_found"


class KeyNotFound(NotFound):
    """There is no key of that id."""

    code = "key_not_found"


class MethodNotAllowed(ApiError):
    """The route does not take this method."""

    code = "method_not_allowed"


class RequestTimeout(ApiError):
    """The body was sent too slowly."""

    code = "request_timeout"


class Conflict(ApiError):
    """The change contradicts what is there."""

    code = "conflict"


class IdempotencyInProgress(ApiError):
    """A request with the same idempotency key is under way."""

    code = "idempotency_in_progress"


class RequestTooLarge(ApiError):
    """The body is longer than the service takes."""

    code = "request_too_large"


class UnsupportedMediaType(ApiError):
    """The body is not declared to be JSON."""

    code = "unsupported_media_type"


class IdempotencyKeyReused(ApiError):
    """The idempotency key was sent with another payload before."""

    code = "idempotency_key_reused"


class RateLimitExceeded(ApiError):
    """The tenant asks for more than its limit, at the moment."""

    code = "rate_limit_exceeded"


class ConcurrencyExceeded(RateLimitExceeded):
    """The tenant has as many requests under way as it may."""

    code = "concurrency_exceeded"


class QueueFull(RateLimitExceeded):
    """The tenant has as many requests waiting as it may."""

    code = "queue_full"


class TooManyFailedAttempts(RateLimitExceeded):
    """Too many unknown keys came from this address."""

    code = "too_many_failed_attempts"


class ClientClosedRequest(ApiError):
    """The service saw the connection close."""

    code = "client_closed_request"


class RequestCancelled(ApiError):
    """The request was cancelled."""

    code = "request_cancelled"


class InternalError(ApiError):
    """The service has a defect; quote the request id."""

    code = "internal_error"


class ReplicasLost(InternalError):
    """Replica after replica was lost while it ran the request."""

    code = "replicas_lost"


class StreamLogFull(InternalError):
    """The answer is longer than what is kept of one request."""

    code = "stream_log_full"


class Unavailable(ApiError):
    """The service cannot take the request now, through no fault of the tenant."""

    code = "unavailable"


class Overloaded(Unavailable):
    """All replicas are busy and their queues are full."""

    code = "overloaded"


class NoReplica(Unavailable):
    """No replica of the model is ready."""

    code = "no_replica"


class ReplicaLost(Unavailable):
    """The replica that ran the request died."""

    code = "replica_lost"


class ReplicaSilent(ReplicaLost):
    """The replica that ran the request was silent for too long."""

    code = "replica_silent"


class GatewayLost(Unavailable):
    """The gateway that answered the request died."""

    code = "gateway_lost"


class TakenOver(GatewayLost):
    """Another gateway has the request."""

    code = "taken_over"


class Draining(Unavailable):
    """The service is shutting down."""

    code = "draining"


class DeadlineExceeded(ApiError):
    """The request could not be begun before its deadline."""

    code = "deadline_exceeded"


def kinds(root: type[ApiError]) -> Iterator[type[ApiError]]:
    """The classes below ``root``."""
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


_BY_CODE: Mapping[str, type[ApiError]] = {kind.code: kind for kind in kinds(ApiError)}


def error_of(
    envelope: object, status: int | None = None, retry_after: float | None = None
) -> ApiError | UnexpectedAnswer:
    """The error that the body ``{"error": {...}, "request_id": ...}`` tells."""
    error = envelope.get("error") if isinstance(envelope, Mapping) else None
    if not isinstance(envelope, Mapping) or not isinstance(error, Mapping) or not isinstance(error.get("code"), str):
        return UnexpectedAnswer(f"An answer with status {status} came that is not one of this API.")
    details = {name: value for name, value in error.items() if name not in ("message", "type", "param", "code")}
    return _BY_CODE.get(error["code"], ApiError)(
        str(error.get("message")),
        error["code"],
        status=status,
        parameter=error.get("param"),
        retry_after=retry_after,
        request_id=envelope.get("request_id"),
        details=details,
    )
