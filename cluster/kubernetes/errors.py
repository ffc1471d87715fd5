"""What the Kubernetes API, or the way to it, has against a request.

KubernetesError        any of them
  Unreachable          no answer, or not all of it
  Gone                 410: the place in the history that was asked for is no longer kept
  Changed              409 and 422: the object is not what the request was made for, or may not become what it asks
  Refused              every other status
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

CHANGED = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)


class KubernetesError(Exception):
    """A request came to nothing. ``headers`` are the answer's, in lower case."""

    def __init__(self, message: str, status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class Unreachable(KubernetesError):
    """No answer came, or not all of it."""


class Refused(KubernetesError):
    """The server's answer is that it will not."""


class Gone(Refused):
    """The history from there on is no longer kept: list again."""


class Changed(Refused):
    """The object is not what the request was made for: read it again."""


def refusal(status: int, message: str, headers: Mapping[str, str]) -> Refused:
    """The error of that status."""
    kind = Gone if status == HTTPStatus.GONE else Changed if status in CHANGED else Refused
    return kind(message, status, headers)
