"""Every way in which a request can fail, and what its client is told.

ServingError
├── InvalidRequest                400  invalid_request_error
│   ├── ContextLengthExceeded     400  context_length_exceeded
│   ├── UnsupportedParameter      400  unsupported_parameter
│   ├── UnknownParameter          400  unknown_parameter
│   └── WorkExceedsLimit          400  work_exceeds_limit
├── InvalidApiKey                 401  invalid_api_key
├── InsufficientQuota             402  insufficient_quota
├── PermissionDenied              403  permission_denied
├── NotFound                      404  not_found
│   ├── ModelNotFound             404  model_not_found
│   ├── ResponseNotFound          404  response_not_found
│   ├── TenantNotFound            404  tenant_not_found
│   └── KeyNotFound               404  key_not_found
├── MethodNotAllowed              405  method_not_allowed
├── RequestTimeout                408  request_timeout
├── Conflict                      409  conflict
├── IdempotencyInProgress         409  idempotency_in_progress
├── RequestTooLarge               413  request_too_large
├── UnsupportedMediaType          415  unsupported_media_type
├── IdempotencyKeyReused          422  idempotency_key_reused
├── RateLimitExceeded             429  rate_limit_exceeded
│   ├── ConcurrencyExceeded       429  concurrency_exceeded
│   ├── QueueFull                 429  queue_full
│   └── TooManyFailedAttempts     429  too_many_failed_attempts
├── ClientClosedRequest           499  client_closed_request
├── RequestCancelled              499  request_cancelled
├── InternalError                 500  internal_error
│   ├── ReplicasLost              500  replicas_lost
│   └── StreamLogFull             500  stream_log_full
├── Unavailable                   503  unavailable
│   ├── Overloaded                503  overloaded
│   ├── NoReplica                 503  no_replica
│   ├── ReplicaLost               503  replica_lost
│   │   └── ReplicaSilent         503  replica_silent
│   ├── GatewayLost               503  gateway_lost
│   │   └── TakenOver             503  taken_over
│   └── Draining                  503  draining
└── DeadlineExceeded              504  deadline_exceeded

A class owns its code, HTTP status, type, gRPC status and retry headers; no other module names a status.
What the tenant can mend is 429, what the operator must mend is 503.
"""

from __future__ import annotations

from collections.abc import Iterator

from deployments.failure import ServingError as ServingError


class InvalidRequest(ServingError):
    """The request is malformed, or asks for something impossible."""

    code = "invalid_request_error"
    status = 400
    type = "invalid_request_error"
    grpc_status = "INVALID_ARGUMENT"
    default_message = "The request is invalid."


class ContextLengthExceeded(InvalidRequest):
    """Prompt and answer together do not fit the model."""

    code = "context_length_exceeded"
    default_message = "Prompt and answer do not fit the model's context."


class UnsupportedParameter(InvalidRequest):
    """A known parameter has a value which this service or this model does not implement."""

    code = "unsupported_parameter"
    default_message = "This parameter is not supported."


class UnknownParameter(InvalidRequest):
    """A parameter that nobody here knows, where the operator or the client wants such a request refused."""

    code = "unknown_parameter"
    default_message = "This parameter is not known."


class WorkExceedsLimit(InvalidRequest):
    """The request may cost more than the tenant's limit allows at once, so that no wait would help."""

    code = "work_exceeds_limit"
    default_message = "This request may cost more than your limit allows at once. Ask for fewer tokens."


class InvalidApiKey(ServingError):
    """The key is missing or unknown."""

    code = "invalid_api_key"
    status = 401
    type = "authentication_error"
    grpc_status = "UNAUTHENTICATED"
    default_message = "The API key is missing or invalid. Send it as 'Authorization: Bearer <key>'."


class InsufficientQuota(ServingError):
    """The budget of the day or the month is spent: no retry helps before ``reset_at`` in ``details``, in Unix
    seconds.
    """

    code = "insufficient_quota"
    status = 402
    type = "insufficient_quota"
    grpc_status = "RESOURCE_EXHAUSTED"
    default_message = "The budget of this period is spent."


class PermissionDenied(ServingError):
    """The key is valid and does not open this."""

    code = "permission_denied"
    status = 403
    type = "permission_error"
    grpc_status = "PERMISSION_DENIED"
    default_message = "This key does not permit that."


class NotFound(ServingError):
    """There is no such route."""

    code = "not_found"
    status = 404
    type = "invalid_request_error"
    grpc_status = "NOT_FOUND"
    default_message = "There is no such route."


class ModelNotFound(NotFound):
    """The model does not exist, or the tenant may not use it."""

    code = "model_not_found"
    default_message = "The model does not exist, or you have no access to it."


class ResponseNotFound(NotFound):
    """The record does not exist, has expired, or belongs to another tenant."""

    code = "response_not_found"
    default_message = "There is no such response."


class TenantNotFound(NotFound):
    """There is no tenant of that name. Only the operator meets this."""

    code = "tenant_not_found"
    default_message = "There is no such tenant."


class KeyNotFound(NotFound):
    """There is no key of that id. Only the operator meets this."""

    code = "key_not_found"
    default_message = "There is no such key."


class MethodNotAllowed(ServingError):
    """The route exists, the method does not."""

    code = "method_not_allowed"
    status = 405
    type = "invalid_request_error"
    grpc_status = "UNIMPLEMENTED"
    default_message = "This route does not take this method."


class RequestTimeout(ServingError):
    """The client was too slow in sending the body."""

    code = "request_timeout"
    status = 408
    type = "invalid_request_error"
    grpc_status = "DEADLINE_EXCEEDED"
    default_message = "The body was not received in time."
    should_retry = False


class Conflict(ServingError):
    """The change contradicts what is there. Only the operator meets this."""

    code = "conflict"
    status = 409
    type = "invalid_request_error"
    grpc_status = "FAILED_PRECONDITION"
    default_message = "The change contradicts what is there."
    should_retry = False


class IdempotencyInProgress(ServingError):
    """A request with the same idempotency key is under way."""

    code = "idempotency_in_progress"
    status = 409
    type = "invalid_request_error"
    grpc_status = "ABORTED"
    default_message = "A request with this idempotency key is under way."
    default_retry_after = 1.0


class RequestTooLarge(ServingError):
    """The body is longer than the limit; it was not parsed."""

    code = "request_too_large"
    status = 413
    type = "invalid_request_error"
    grpc_status = "RESOURCE_EXHAUSTED"
    default_message = "The body is too large."


class UnsupportedMediaType(ServingError):
    """The body is declared to be something other than JSON."""

    code = "unsupported_media_type"
    status = 415
    type = "invalid_request_error"
    grpc_status = "INVALID_ARGUMENT"
    default_message = "The body must be sent as 'Content-Type: application/json'."


class IdempotencyKeyReused(ServingError):
    """The idempotency key was sent before, with another payload."""

    code = "idempotency_key_reused"
    status = 422
    type = "invalid_request_error"
    grpc_status = "FAILED_PRECONDITION"
    default_message = "This idempotency key was sent with another payload before."


class RateLimitExceeded(ServingError):
    """The tenant asks for more than its limit, at the moment."""

    code = "rate_limit_exceeded"
    status = 429
    type = "rate_limit_error"
    grpc_status = "RESOURCE_EXHAUSTED"
    default_message = "The limit is reached. Retry later."
    default_retry_after = 1.0


class ConcurrencyExceeded(RateLimitExceeded):
    """The tenant has as many requests under way as it may."""

    code = "concurrency_exceeded"
    default_message = "Too many requests are under way. Retry when one of them has ended."


class QueueFull(RateLimitExceeded):
    """The tenant has as many requests waiting as it may."""

    code = "queue_full"
    default_message = "The queue is full. Retry later."


class TooManyFailedAttempts(RateLimitExceeded):
    """Too many unknown keys came from one address."""

    code = "too_many_failed_attempts"
    default_message = "Too many requests with invalid keys came from this address. Retry later."
    default_retry_after = 60.0


class ClientClosedRequest(ServingError):
    """The client left before its answer was complete; only logs and metrics see this."""

    code = "client_closed_request"
    status = 499
    type = "invalid_request_error"
    grpc_status = "CANCELLED"
    default_message = "The client closed the connection."


class RequestCancelled(ServingError):
    """The request was cancelled by its tenant; those who follow it are told."""

    code = "request_cancelled"
    status = 499
    type = "invalid_request_error"
    grpc_status = "CANCELLED"
    default_message = "The request was cancelled."


class InternalError(ServingError):
    """A defect. The client is given the request id and nothing of the cause."""

    code = "internal_error"
    status = 500
    type = "server_error"
    grpc_status = "INTERNAL"
    default_message = "An internal error occurred. Quote the request id when you report it."


class ReplicasLost(InternalError):
    """One replica after the other was lost while it ran the request, which is likely to be the cause."""

    code = "replicas_lost"
    default_message = "Replica after replica was lost while it ran this request. It is not tried again."
    should_retry = False


class StreamLogFull(InternalError):
    """The answer is longer than what is kept of one request."""

    code = "stream_log_full"
    default_message = "The answer is longer than what can be stored of one request."
    should_retry = False


class Unavailable(ServingError):
    """The service cannot take the request now, through no fault of the tenant."""

    code = "unavailable"
    status = 503
    type = "server_error"
    grpc_status = "UNAVAILABLE"
    default_message = "A part of the service does not answer. Retry later."
    default_retry_after = 1.0


class Overloaded(Unavailable):
    """All replicas are busy and their queues are full."""

    code = "overloaded"
    default_message = "All replicas are busy. Retry later."


class NoReplica(Unavailable):
    """No replica of the model is ready, or the one which ran the request was lost."""

    code = "no_replica"
    default_message = "No replica of this model is ready. Retry later."
    default_retry_after = 2.0


class ReplicaLost(Unavailable):
    """The replica that ran the request died."""

    code = "replica_lost"
    default_message = "The replica was lost before the request was finished."


class ReplicaSilent(ReplicaLost):
    """The replica that ran the request was silent for too long: it hangs, or has too little of its processor."""

    code = "replica_silent"
    default_message = "The replica was silent for too long before the request was finished."


class GatewayLost(Unavailable):
    """The gateway that answered the request died, and the request was not one that outlives it."""

    code = "gateway_lost"
    default_message = "The gateway was lost before the request was finished."


class TakenOver(GatewayLost):
    """Another gateway has the request, since this one was late in renewing its lease."""

    code = "taken_over"
    default_message = "The request goes on at another gateway."


class Draining(Unavailable):
    """The service is shutting down and takes no new work."""

    code = "draining"
    default_message = "The service is draining. Retry later."


class DeadlineExceeded(ServingError):
    """The request cannot be, or was not, begun before its deadline."""

    code = "deadline_exceeded"
    status = 504
    type = "server_error"
    grpc_status = "DEADLINE_EXCEEDED"
    default_message = "The request cannot be begun before its deadline."
    should_retry = False


def error_of(code: str, message: str, parameter: str | None = None) -> ServingError:
    """The error that was told as ``code``; what this version does not know is an :class:`InternalError`."""
    kinds = {kind.code: kind for kind in _kinds(ServingError)}
    return kinds.get(code, InternalError)(message, parameter=parameter)


def _kinds(root: type[ServingError]) -> Iterator[type[ServingError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _kinds(kind)
