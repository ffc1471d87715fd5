"""The outermost layer: who a request is, how it went, and that every failure is told in one shape."""

from __future__ import annotations

from opentelemetry.util.types import AttributeValue
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.errors import ClientClosedRequest, InternalError
from deployments.gateway.auth import PROTECTED
from deployments.gateway.ending import End
from deployments.gateway.failures import beside, error_response, told
from deployments.gateway.ids import brought_id
from deployments.gateway.witness import Witness, identity_of, within
from deployments.telemetry.attributes import HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS
from deployments.telemetry.observation import Observation

CLIENT_ID = "x-client-request-id"

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
OTHER_METHOD, UNKNOWN_METHOD = "_OTHER", "HTTP"
"""What the HTTP conventions call a method that they do not know, as an attribute and in the name of a span."""


async def leave_to_edge(request: Request, error: Exception) -> Response:
    """The framework's own answers have another shape; :class:`Edge` tells all failures alike."""
    raise error


class Edge:
    """Gives each request its id and trace, returns both, answers for what fails inside, and tells of the end.

    A failure after the first byte cannot be told any more: the connection breaks. Outside of the protected routes,
    where probes and readers of the documentation ask, only failures are told of.
    """

    def __init__(self, app: ASGIApp, witness: Witness) -> None:
        self._app, self._witness = app, witness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        seen = self._witness.open(_method(scope, UNKNOWN_METHOD), headers)
        scope.setdefault("state", {}).update(request_id=seen.request_id, observation=seen)
        answer = _Answer(self._witness, seen, headers, send)
        try:
            with within(seen):
                await self._answered(scope, receive, answer)
        finally:
            self._tell(scope, seen, answer)

    async def _answered(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:
            if answer.status:
                answer.failure = _breaking(error)
                raise
            failure = told(error, answer.seen.request_id)
            answer.failure = failure.code
            jitter = self._witness.entropy(1)[0] / 256
            response = error_response(failure, answer.seen.request_id, jitter, beside(error))
            await response(scope, receive, answer.send)

    def _tell(self, scope: Scope, seen: Observation, answer: _Answer) -> None:
        failure = answer.failure or (seen.failure if answer.is_complete else ClientClosedRequest.code)
        status = ClientClosedRequest.status if failure == ClientClosedRequest.code else answer.status
        route = getattr(scope.get("route"), "path", "")
        attributes: dict[str, AttributeValue] = {HTTP_METHOD: _method(scope, OTHER_METHOD), HTTP_STATUS: status}
        if route:
            attributes[HTTP_ROUTE] = route
        name = f"{_method(scope, UNKNOWN_METHOD)} {route}".rstrip()
        seconds = self._witness.seconds(seen)
        end = End(name, str(status), seconds, attributes, failure, answer.sent)
        self._witness.close(seen, end, quiet=not scope["path"].startswith(PROTECTED))


class _Answer:
    """What is sent to one client, and what has been."""

    def __init__(self, witness: Witness, seen: Observation, headers: Headers, send: Send) -> None:
        self._witness, self.seen, self._send = witness, seen, send
        client_id = brought_id(headers.get(CLIENT_ID))
        self._beside = {} if client_id is None else {CLIENT_ID: client_id}
        self.status = self.sent = 0
        self.is_complete = False
        self.failure = ""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.update(identity_of(self.seen) | self._beside)
            headers["openai-processing-ms"] = str(round(self._witness.seconds(self.seen) * 1000))
        await self._send(message)
        if message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)


def _method(scope: Scope, unknown: str) -> str:
    method: str = scope["method"]
    return method if method in METHODS else unknown


def _breaking(error: Exception) -> str:
    """The code of what ended an answer on its way: a client that has left, or a defect."""
    return ClientClosedRequest.code if isinstance(error, ClientDisconnect | OSError) else InternalError.code
