"""An ASGI client that reads a response while it is being sent, and can leave at any byte."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from tests.deployments.gateway.scripted import KEY


class Connection:
    """One POST. ``parts`` receives the pieces of the body; ``leave`` disconnects.

    With ``breaks_after`` the server finds the connection broken when it sends the part after so many.
    """

    def __init__(
        self, app: ASGIApp, path: str, body: dict[str, Any], breaks_after: int | None = None, **headers: str
    ) -> None:
        self._breaks_after = breaks_after
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._app, self._path = app, path
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "http.request", "body": json.dumps(body).encode(), "more_body": False})
        self.parts: asyncio.Queue[bytes] = asyncio.Queue()
        self.status = 0

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def run(self) -> None:
        """Serve the request to its end."""
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **self._headers}
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3" if self._breaks_after is None else "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("gateway", 80),
        }
        await self._app(scope, self._incoming.get, self._send)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            assert self.status == 0
            self.status = message["status"]
        elif self.parts.qsize() == self._breaks_after:
            raise OSError
        elif message.get("body"):
            self.parts.put_nowait(message["body"])
