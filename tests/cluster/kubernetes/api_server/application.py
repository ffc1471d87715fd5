"""The HTTP face of the server, as an ASGI application."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from tests.cluster.kubernetes.api_server import status
from tests.cluster.kubernetes.api_server.access import ADMINISTRATOR, ANONYMOUS, User, why_forbidden
from tests.cluster.kubernetes.api_server.asked import Asked, read_request
from tests.cluster.kubernetes.api_server.discovery import discovered
from tests.cluster.kubernetes.api_server.faults import Drop, Faults, Hold, Refuse
from tests.cluster.kubernetes.api_server.reading import selection
from tests.cluster.kubernetes.api_server.registry import Registry
from tests.cluster.kubernetes.api_server.resources import Document, Resource
from tests.cluster.kubernetes.api_server.status import ApiError
from tests.cluster.kubernetes.api_server.verbs import Answer, answer
from tests.cluster.kubernetes.api_server.watching import ConnectionCutError, Watch, Watches

WAIT_SECONDS = 20.0


@dataclass
class Requests:
    """Every request that has arrived, in order, whatever became of it."""

    arrived: list[Asked] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, asked: Asked) -> None:
        """Record a request."""
        with self._changed:
            self.arrived.append(asked)
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget them."""
        with self._changed:
            self.arrived.clear()

    def wait_for(self, wanted: Callable[[Asked], bool], count: int = 1) -> list[Asked]:
        """Return the requests that are wanted once there are ``count``. If they do not come, it is a TimeoutError."""

        def found() -> list[Asked]:
            return [asked for asked in self.arrived if wanted(asked)]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, WAIT_SECONDS):
                raise TimeoutError(f"only {len(found())} of {count} requests came")
            return found()


@dataclass
class Application:
    """
    Answers requests. With ``users`` None whoever asks may do everything; else the bearer token says who asks, and
    roles what that one may do. ``drop`` closes the connection of a client's address.
    """

    registry: Registry
    drop: Callable[[tuple[str, int]], None]
    users: dict[str, User] | None = None
    requests: Requests = field(default_factory=Requests)
    faults: Faults = field(default_factory=Faults)
    watches: Watches = field(default_factory=Watches)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        body = await _body(receive)
        try:
            user = self._user(headers)
            asked = read_request(scope["method"], scope["path"], query, user.name)
            self.requests.add(asked)
            fault = self.faults.take(asked)
            if isinstance(fault, Refuse):
                raise fault.error
            if isinstance(fault, Hold):
                await fault.wait()
            if fault == Drop():
                raise ConnectionCutError
            self._authorize(user, asked)
            if asked.verb == "watch":
                await self._watch(asked, query, receive, send)
                return
            answered = self._answer(user, asked, query, headers, body)
            if fault == Drop(afterwards=True):
                raise ConnectionCutError
        except ConnectionCutError:
            self.drop(scope["client"])
            await _disconnected(receive)
            return
        except ApiError as error:
            answered = Answer(error.code, error.document(), error.headers())
        await _respond(send, answered)

    def _user(self, headers: Mapping[str, str]) -> User:
        if self.users is None:
            return ADMINISTRATOR
        token = headers.get("authorization", "")
        if not token:
            return ANONYMOUS
        user = self.users.get(token.removeprefix("Bearer "))
        if user is None:
            raise status.unspecific(401)
        return user

    def _authorize(self, user: User, asked: Asked) -> None:
        why = why_forbidden(self.registry, user, asked)
        if why is not None:
            raise (
                status.forbidden(self._resource(asked), asked.name, why)
                if asked.resource
                else ApiError(403, "Forbidden", f"forbidden: {why}")
            )

    def _answer(
        self, user: User, asked: Asked, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        if not asked.resource:
            found = discovered(asked.path, self.registry.resources.values())
            if found is None:
                raise status.unspecific(404)
            return Answer(200, found)
        resource = self._served(asked)
        if asked.resource == "selfsubjectaccessreviews":
            return Answer(201, self._review(user, json.loads(body)))
        return answer(self.registry, resource, asked, query, headers.get("content-type", ""), body)

    def _served(self, asked: Asked) -> Resource:
        resource = self.registry.resource(asked.group, asked.version, asked.resource)
        if asked.subresource and asked.subresource not in resource.subresources:
            raise status.unspecific(404)
        if asked.verb not in resource.verbs:
            raise status.method_not_allowed()
        return resource

    def _resource(self, asked: Asked) -> Resource:
        """The resource for the words of an error: it need not be served."""
        known = self.registry.resources.get((asked.group, asked.version, asked.resource))
        return known or Resource(asked.group, asked.version, asked.resource, asked.resource)

    def _review(self, user: User, review: Document) -> Document:
        wanted = review["spec"].get("resourceAttributes", {})
        fields = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
        asked = Asked(path="", **{"verb": "", **{name: wanted[name] for name in fields if name in wanted}})
        why = why_forbidden(self.registry, user, asked)
        return {**review, "status": {"allowed": why is None, **({"reason": why} if why else {})}}

    async def _watch(self, asked: Asked, query: Mapping[str, str], receive: Receive, send: Send) -> None:
        selected = selection(self._served(asked), asked.namespace, asked.name, query)
        seconds = float(query["timeoutSeconds"]) if query.get("timeoutSeconds") else None
        watch = Watch(self.registry.store, selected, query, asyncio.get_running_loop(), seconds)
        unlisten = self.registry.store.listen(watch.wake)
        gone = asyncio.create_task(_disconnected(receive))
        sending = asyncio.create_task(self._send_events(watch, send))
        try:
            await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            unlisten()
            self.watches.discard(watch)
            for task in (gone, sending):
                task.cancel()
                with suppress(asyncio.CancelledError, ConnectionCutError):
                    await task

    async def _send_events(self, watch: Watch, send: Send) -> None:
        await send(_start(200, {"Content-Type": "application/json"}))
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        async for event in watch.events(opened=lambda: self.watches.add(watch)):
            line = json.dumps(event).encode() + b"\n"
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(send: Send, answered: Answer) -> None:
    body = json.dumps(answered.document).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answered.headers}
    await send(_start(answered.code, headers))
    await send({"type": "http.response.body", "body": body})


def _start(code: int, headers: Mapping[str, str]) -> dict[str, Any]:
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": code, "headers": encoded}
