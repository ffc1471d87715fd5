"""Which tenant a key belongs to."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.errors import InvalidApiKey

PROTECTED = "/v1/"


class KeyRing:
    """API keys, held as SHA-256 digests.

    A lookup compares with every key and each comparison takes constant time, so its duration tells nothing of a key.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._tenants = tuple((_digest(key), tenant) for key, tenant in keys.items())

    def tenant(self, authorization: str | None) -> str:
        """The tenant of an ``Authorization: Bearer`` header. Raises :class:`InvalidApiKey`."""
        scheme, _, key = (authorization or "").partition(" ")
        presented = _digest(key.strip())
        matches = [tenant for digest, tenant in self._tenants if hmac.compare_digest(digest, presented)]
        if scheme.lower() != "bearer" or not matches:
            raise InvalidApiKey
        return matches[0]


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()


class Authentication:
    """Lets only key holders reach the routes of the API, and notes their tenant in ``state``.

    A layer rather than a dependency of each endpoint, so that no body is read for a stranger and no route forgets it.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PROTECTED):
            scope["state"]["tenant"] = self._keys.tenant(Headers(scope=scope).get("authorization"))
        await self._app(scope, receive, send)
