"""Bodies are read whole, within bounds of size and time, before anything looks at them."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import ClientClosedRequest, RequestTimeout, RequestTooLarge, UnsupportedMediaType

BODIED = ("POST", "PUT")


class BodyGate:
    """Takes JSON, not compressed, of at most ``max_bytes``, stated or not, that arrives within ``timeout_seconds``."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_seconds: float) -> None:
        self._app, self._max_bytes, self._timeout = app, max_bytes, timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in BODIED:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = await self._read(receive, headers.get("content-length", ""))
        if body and not _is_plain_json(headers):
            raise UnsupportedMediaType
        await self._app(scope, _replaying(body, receive), send)

    async def _read(self, receive: Receive, declared: str) -> bytes:
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large()
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(self._timeout):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientClosedRequest
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self._max_bytes:
                        raise self._too_large()
        except TimeoutError as error:
            raise RequestTimeout from error
        return bytes(body)

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(f"The body has more than {self._max_bytes} bytes.")


def _is_plain_json(headers: Headers) -> bool:
    """Whether the body says that it is JSON, and as it is: what is compressed has a size that nobody has stated."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" and headers.get("content-encoding", "identity").lower() == "identity"


def _replaying(body: bytes, receive: Receive) -> Receive:
    """``receive`` as if the body had not been read yet."""
    replayed = False

    async def replay() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
