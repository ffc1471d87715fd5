"""Which tenant a key belongs to."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.errors import InvalidApiKey

PROTECTED = "/v1/"


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whom a key speaks for. ``cache_salt`` is the key's own and tells nothing of it.

    Requests with different salts never share cached prefixes, so nobody can learn from the time that an answer takes
    what the holder of another key has asked.
    """

    tenant: str
    cache_salt: str


class KeyRing:
    """API keys, held as SHA-256 digests.

    A lookup compares with every key and each comparison takes constant time, so its duration tells nothing of a key.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._holders = tuple((_digest(key), KeyHolder(tenant, _salt(key))) for key, tenant in keys.items())

    def holder(self, authorization: str | None) -> KeyHolder:
        """The holder of the key in an ``Authorization: Bearer`` header. Raises :class:`InvalidApiKey`."""
        scheme, _, key = (authorization or "").partition(" ")
        presented = _digest(key.strip())
        matches = [holder for digest, holder in self._holders if hmac.compare_digest(digest, presented)]
        if scheme.lower() != "bearer" or not matches:
            raise InvalidApiKey
        return matches[0]


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()


def _salt(key: str) -> str:
    return hmac.new(_digest(key), b"cached prefixes", sha256).hexdigest()


class Authentication:
    """Lets only key holders reach the routes of the API, and notes who they are in ``state``.

    A layer rather than a dependency of each endpoint, so that no body is read for a stranger and no route forgets it.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PROTECTED):
            scope["state"]["holder"] = self._keys.holder(Headers(scope=scope).get("authorization"))
        await self._app(scope, receive, send)
