"""The one credential that opens the operator's endpoints."""

from __future__ import annotations

import hmac
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.errors import InvalidApiKey

OPEN = "/health"


class AdminCredential:
    """Lets only the holder of the admin key pass, whatever the path, but for ``OPEN``.

    ``key_digest`` is the hex SHA-256 of the key. Digests are compared, and in constant time, so that the duration
    tells nothing of the key. A layer rather than a dependency of each endpoint, so that no route can forget it.
    """

    def __init__(self, app: ASGIApp, key_digest: str) -> None:
        self._app, self._digest = app, key_digest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != OPEN:
            self._check(Headers(scope=scope).get("authorization", ""))
        await self._app(scope, receive, send)

    def _check(self, authorization: str) -> None:
        scheme, _, key = authorization.partition(" ")
        matches = hmac.compare_digest(sha256(key.strip().encode()).hexdigest(), self._digest)
        if scheme.lower() != "bearer" or not matches:
            raise InvalidApiKey("The admin key is missing or wrong. Send it as 'Authorization: Bearer <key>'.")
