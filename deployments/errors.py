"""Every way in which a request can fail, and what its client is told.

ServingError
├── InvalidRequest                400  invalid_request_error
│   ├── ContextLengthExceeded     400  context_length_exceeded
│   └── UnsupportedParameter      400  unsupported_parameter
├── InvalidApiKey                 401  invalid_api_key
├── NotFound                      404  not_found
│   ├── ModelNotFound             404  model_not_found
│   └── ResponseNotFound          404  response_not_found
├── MethodNotAllowed              405  method_not_allowed
├── RequestTimeout                408  request_timeout
├── RequestTooLarge               413  request_too_large
├── UnsupportedMediaType          415  unsupported_media_type
├── QueueFull                     429  queue_full
├── ClientClosedRequest           499  client_closed_request
├── InternalError                 500  internal_error
└── Unavailable                   503  unavailable
    ├── Overloaded                503  overloaded
    ├── NoReplica                 503  no_replica
    └── Draining                  503  draining

A class owns its code, HTTP status, type, gRPC status and retry headers; no other module names a status.
What the tenant can mend is 429, what the operator must mend is 503.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

RETRY_JITTER = 0.2
"""A retry hint is lengthened by up to this share, so that refused clients do not come back together."""


class ServingError(Exception):
    """The root. ``parameter`` names the field at fault; ``retry_after`` is the least wait in seconds, where one helps.

    Instances survive pickling, since a replica raises some of them on the gateway's behalf.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    type: ClassVar[str]
    grpc_status: ClassVar[str]
    default_message: ClassVar[str]
    default_retry_after: ClassVar[float | None] = None
    should_retry: ClassVar[bool | None] = None

    def __init__(
        self, message: str | None = None, *, parameter: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message or self.default_message)
        self.parameter = parameter
        self.retry_after = self.default_retry_after if retry_after is None else retry_after

    def envelope(self, request_id: str) -> dict[str, Any]:
        """The body of the answer."""
        error = {"message": str(self), "type": self.type, "param": self.parameter, "code": self.code}
        return {"error": error, "request_id": request_id}

    def headers(self, jitter: float = 0.0) -> dict[str, str]:
        """The retry headers; ``jitter`` in [0, 1) spreads the clients over ``RETRY_JITTER`` of the wait."""
        headers: dict[str, str] = {}
        if self.retry_after is not None:
            wait = self.retry_after * (1.0 + RETRY_JITTER * jitter)
            headers["retry-after"] = str(math.ceil(wait))
            headers["retry-after-ms"] = str(math.ceil(wait * 1000))
        if self.should_retry is not None:
            headers["x-should-retry"] = str(self.should_retry).lower()
        return headers


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


class InvalidApiKey(ServingError):
    """The key is missing or unknown."""

    code = "invalid_api_key"
    status = 401
    type = "authentication_error"
    grpc_status = "UNAUTHENTICATED"
    default_message = "The API key is missing or invalid. Send it as 'Authorization: Bearer <key>'."


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


class QueueFull(ServingError):
    """The tenant's share of the queue is full."""

    code = "queue_full"
    status = 429
    type = "rate_limit_error"
    grpc_status = "RESOURCE_EXHAUSTED"
    default_message = "The queue is full. Retry later."
    default_retry_after = 1.0


class ClientClosedRequest(ServingError):
    """The client left before its answer was complete; only logs and metrics see this."""

    code = "client_closed_request"
    status = 499
    type = "invalid_request_error"
    grpc_status = "CANCELLED"
    default_message = "The client closed the connection."


class InternalError(ServingError):
    """A defect. The client is given the request id and nothing of the cause."""

    code = "internal_error"
    status = 500
    type = "server_error"
    grpc_status = "INTERNAL"
    default_message = "An internal error occurred. Quote the request id when you report it."


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


class Draining(Unavailable):
    """The service is shutting down and takes no new work."""

    code = "draining"
    default_message = "The service is draining. Retry later."
