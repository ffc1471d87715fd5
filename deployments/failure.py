"""The root of all errors that clients are told of; the tree is in :mod:`deployments.errors`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

RETRY_JITTER = 0.2
"""A retry hint is lengthened by up to this share, so that refused clients do not come back together."""


class ServingError(Exception):
    """The root. ``parameter`` names the field at fault; ``retry_after`` is the least wait in seconds, where one helps;
    ``details`` are further members of the error object.

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
        self,
        message: str | None = None,
        *,
        parameter: str | None = None,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message or self.default_message)
        self.parameter = parameter
        self.details = dict(details or {})
        self.retry_after = self.default_retry_after if retry_after is None else retry_after

    def envelope(self, request_id: str) -> dict[str, Any]:
        """The body of the answer."""
        error = {"message": str(self), "type": self.type, "param": self.parameter, "code": self.code, **self.details}
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
