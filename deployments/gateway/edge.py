"""The outermost layer: who a request is, how long it took, and that every failure is told in one shape."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.gateway.failures import error_response
from deployments.gateway.ids import Clock, Entropy, brought_id, next_traceparent, ulid


async def leave_to_edge(request: Request, error: Exception) -> Response:
    """The framework's own answers have another shape; :class:`Edge` tells all failures alike."""
    raise error


class Edge:
    """Gives each request its id and trace, returns both, and answers for what fails inside.

    A failure after the first byte cannot be told any more: the connection breaks.
    """

    def __init__(self, app: ASGIApp, clock: Clock, entropy: Entropy) -> None:
        self._app, self._clock, self._entropy = app, clock, entropy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        identity = self._identity(Headers(scope=scope))
        request_id = identity["x-request-id"]
        scope.setdefault("state", {})["request_id"] = request_id
        answering = False

        async def send_identified(message: Message) -> None:
            nonlocal answering
            if message["type"] == "http.response.start":
                answering = True
                headers = MutableHeaders(scope=message)
                headers.update(identity)
                headers["openai-processing-ms"] = str(round((self._clock() - started) * 1000))
            await send(message)

        try:
            await self._app(scope, receive, send_identified)
        except Exception as error:
            if answering:
                raise
            response = error_response(error, request_id, self._entropy(1)[0] / 256)
            await response(scope, receive, send_identified)

    def _identity(self, headers: Headers) -> dict[str, str]:
        request_id = brought_id(headers.get("x-request-id")) or f"req_{ulid(self._clock(), self._entropy)}"
        identity = {
            "x-request-id": request_id,
            "traceparent": next_traceparent(headers.get("traceparent"), self._entropy),
        }
        client_id = brought_id(headers.get("x-client-request-id"))
        return identity if client_id is None else {**identity, "x-client-request-id": client_id}
