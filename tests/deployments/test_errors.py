from __future__ import annotations

import pickle
import re
from collections.abc import Iterator

import pytest

from deployments import errors
from deployments.errors import ServingError

SOON = {"retry-after": "1", "retry-after-ms": "1000"}

TABLE: list[tuple[type[ServingError], int, str, str, dict[str, str]]] = [
    (errors.InvalidRequest, 400, "invalid_request_error", "INVALID_ARGUMENT", {}),
    (errors.ContextLengthExceeded, 400, "context_length_exceeded", "INVALID_ARGUMENT", {}),
    (errors.UnsupportedParameter, 400, "unsupported_parameter", "INVALID_ARGUMENT", {}),
    (errors.UnknownParameter, 400, "unknown_parameter", "INVALID_ARGUMENT", {}),
    (errors.WorkExceedsLimit, 400, "work_exceeds_limit", "INVALID_ARGUMENT", {}),
    (errors.InvalidApiKey, 401, "invalid_api_key", "UNAUTHENTICATED", {}),
    (errors.InsufficientQuota, 402, "insufficient_quota", "RESOURCE_EXHAUSTED", {}),
    (errors.PermissionDenied, 403, "permission_denied", "PERMISSION_DENIED", {}),
    (errors.NotFound, 404, "not_found", "NOT_FOUND", {}),
    (errors.ModelNotFound, 404, "model_not_found", "NOT_FOUND", {}),
    (errors.ResponseNotFound, 404, "response_not_found", "NOT_FOUND", {}),
    (errors.TenantNotFound, 404, "tenant_not_found", "NOT_FOUND", {}),
    (errors.KeyNotFound, 404, "key_not_found", "NOT_FOUND", {}),
    (errors.MethodNotAllowed, 405, "method_not_allowed", "UNIMPLEMENTED", {}),
    (errors.RequestTimeout, 408, "request_timeout", "DEADLINE_EXCEEDED", {"x-should-retry": "false"}),
    (errors.Conflict, 409, "conflict", "FAILED_PRECONDITION", {"x-should-retry": "false"}),
    (
        errors.IdempotencyInProgress,
        409,
        "idempotency_in_progress",
        "ABORTED",
        SOON,
    ),
    (errors.RequestTooLarge, 413, "request_too_large", "RESOURCE_EXHAUSTED", {}),
    (errors.UnsupportedMediaType, 415, "unsupported_media_type", "INVALID_ARGUMENT", {}),
    (errors.IdempotencyKeyReused, 422, "idempotency_key_reused", "FAILED_PRECONDITION", {}),
    (errors.RateLimitExceeded, 429, "rate_limit_exceeded", "RESOURCE_EXHAUSTED", SOON),
    (errors.ConcurrencyExceeded, 429, "concurrency_exceeded", "RESOURCE_EXHAUSTED", SOON),
    (errors.QueueFull, 429, "queue_full", "RESOURCE_EXHAUSTED", SOON),
    (
        errors.TooManyFailedAttempts,
        429,
        "too_many_failed_attempts",
        "RESOURCE_EXHAUSTED",
        {"retry-after": "60", "retry-after-ms": "60000"},
    ),
    (errors.ClientClosedRequest, 499, "client_closed_request", "CANCELLED", {}),
    (errors.RequestCancelled, 499, "request_cancelled", "CANCELLED", {}),
    (errors.InternalError, 500, "internal_error", "INTERNAL", {}),
    (errors.ReplicasLost, 500, "replicas_lost", "INTERNAL", {"x-should-retry": "false"}),
    (errors.StreamLogFull, 500, "stream_log_full", "INTERNAL", {"x-should-retry": "false"}),
    (errors.Unavailable, 503, "unavailable", "UNAVAILABLE", SOON),
    (errors.Overloaded, 503, "overloaded", "UNAVAILABLE", SOON),
    (errors.NoReplica, 503, "no_replica", "UNAVAILABLE", {"retry-after": "2", "retry-after-ms": "2000"}),
    (errors.ReplicaLost, 503, "replica_lost", "UNAVAILABLE", SOON),
    (errors.ReplicaSilent, 503, "replica_silent", "UNAVAILABLE", SOON),
    (errors.GatewayLost, 503, "gateway_lost", "UNAVAILABLE", SOON),
    (errors.TakenOver, 503, "taken_over", "UNAVAILABLE", SOON),
    (errors.Draining, 503, "draining", "UNAVAILABLE", SOON),
    (errors.DeadlineExceeded, 504, "deadline_exceeded", "DEADLINE_EXCEEDED", {"x-should-retry": "false"}),
]


@pytest.mark.parametrize(("kind", "status", "code", "grpc_status", "headers"), TABLE)
def test_each_error_owns_its_status_body_and_headers(
    kind: type[ServingError], status: int, code: str, grpc_status: str, headers: dict[str, str]
) -> None:
    error = kind("why", parameter="which")
    assert (error.status, error.grpc_status, error.headers()) == (status, grpc_status, headers)
    assert error.envelope("req_1") == {
        "error": {"message": "why", "type": kind.type, "param": "which", "code": code},
        "request_id": "req_1",
    }


def every_error(root: type[ServingError] = ServingError) -> Iterator[type[ServingError]]:
    if root is not ServingError:
        yield root
    for child in root.__subclasses__():
        yield from every_error(child)


def test_the_table_covers_the_tree() -> None:
    assert [row[0] for row in TABLE] == list(every_error())


def test_the_drawing_states_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+) +(\d+)  (\w+)", errors.__doc__ or "")
    assert drawn == [(kind.__name__, str(kind.status), kind.code) for kind in every_error()]


@pytest.mark.parametrize("kind", list(every_error()))
def test_errors_cross_process_boundaries(kind: type[ServingError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("why", parameter="which", retry_after=3.0)))  # noqa: S301
    assert (type(copy), str(copy), copy.parameter, copy.retry_after) == (kind, "why", "which", 3.0)


def test_jitter_lengthens_a_wait_by_a_fifth_at_most() -> None:
    error = errors.Overloaded(retry_after=10.0)
    assert error.headers(jitter=0.5) == {"retry-after": "11", "retry-after-ms": "11000"}
    assert int(error.headers(jitter=0.999)["retry-after-ms"]) <= 12_000


def test_an_error_is_found_by_its_code_and_an_unknown_code_is_internal() -> None:
    found = errors.error_of("deadline_exceeded", "late", "x-dllm-deadline-ms")
    assert (type(found), str(found), found.parameter) == (errors.DeadlineExceeded, "late", "x-dllm-deadline-ms")
    assert type(errors.error_of("of another version", "?")) is errors.InternalError


def test_details_join_the_error_object() -> None:
    body = errors.DeadlineExceeded("late", details={"predicted_wait_ms": 7}).envelope("req_1")
    assert (body["error"]["predicted_wait_ms"], body["error"]["code"]) == (7, "deadline_exceeded")
