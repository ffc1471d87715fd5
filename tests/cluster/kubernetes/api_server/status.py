"""What a Kubernetes API server answers when it refuses: ``Status`` objects with their codes and reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.kubernetes.api_server.resources import Document, Resource

UNSPECIFIC = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "the server does not allow this request"),
    404: ("NotFound", "the server could not find the requested resource"),
    409: ("Conflict", "the server reported a conflict"),
    410: ("Expired", "The resourceVersion for the provided watch is too old."),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: ("TooManyRequests", "The request is too many, please try again later."),
    500: ("InternalError", "Internal error occurred"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the request did not complete within the requested timeout"),
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One field of a request that is wrong. ``reason`` is one of ``FieldValueInvalid``, ``FieldValueRequired`` ..."""

    field: str
    reason: str
    message: str


@dataclass
class ApiError(Exception):
    """A refusal; ``retry_after`` in seconds is sent both as a header and in the details."""

    code: int
    reason: str
    message: str
    details: Document = field(default_factory=dict)
    retry_after: int | None = None

    def document(self) -> Document:
        """The ``Status`` object."""
        details = dict(self.details)
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        document: Document = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if not self.reason:
            del document["reason"]
        return {**document, "details": details} if details else document

    def headers(self) -> dict[str, str]:
        """What a client reads beside the body."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def unspecific(code: int, retry_after: int | None = None) -> ApiError:
    """The refusal with ``code`` that names no object, as a server under pressure or a proxy before it answers."""
    reason, message = UNSPECIFIC[code]
    return ApiError(code, reason, message, {}, retry_after)


def bad_request(message: str) -> ApiError:
    """What cannot be understood."""
    return ApiError(400, "BadRequest", message)


def not_found(resource: Resource, name: str) -> ApiError:
    """An object that is not there."""
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', _about(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    """A name that is taken."""
    return ApiError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _about(resource, name))


def conflict(resource: Resource, name: str, why: str | None = None) -> ApiError:
    """A write that is based on another version than the stored one."""
    told = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {told}'
    return ApiError(409, "Conflict", message, _about(resource, name))


def forbidden(resource: Resource, name: str, why: str) -> ApiError:
    """What the one who asks may not do."""
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {why}", _about(resource, name))


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> ApiError:
    """An object whose fields are wrong."""
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    summary = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    details: dict[str, Any] = {
        **_about(resource, name),
        "kind": resource.kind,
        "causes": [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes],
    }
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {summary}', details)


def method_not_allowed() -> ApiError:
    """A verb that the resource does not have."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """A body in another format than the resource accepts."""
    told = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", told)


def expired(message: str) -> ApiError:
    """A version which the server has forgotten."""
    return ApiError(410, "Expired", message)


def _about(resource: Resource, name: str) -> Document:
    about = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in about.items() if value}
