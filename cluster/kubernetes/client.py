"""The Kubernetes API through its official client, in plain objects.

The client's own package is loaded when one is made: it is large, and most commands never need it.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from cluster.client.retries import Failure, RetryPolicy
from cluster.kubernetes.errors import Changed, KubernetesError, Unreachable, refusal
from cluster.kubernetes.objects import Object, part
from cluster.kubernetes.resources import Resource

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

Operation = Mapping[str, Any]
"""One of a JSON patch (RFC 6902)."""

FIELD_MANAGER = "dllm"
PAGE = 500
CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
JSON, JSON_PATCH = "application/json", "application/json-patch+json"

RETRIES = RetryPolicy(retries=6, longest_wait=60.0)
"""Some half a minute in all, which is what a server takes to come back."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a kind, as of ``version``."""

    items: tuple[Object, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects in question: those of a kind, of a namespace, with these labels and fields."""

    resource: Resource
    namespace: str | None = None
    labels: str | None = None
    fields: str | None = None

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the request."""
        given = (("labelSelector", self.labels), ("fieldSelector", self.fields))
        return [(name, value) for name, value in given if value is not None]


@dataclass(frozen=True, slots=True)
class Event:
    """What a watch tells: ADDED, MODIFIED, DELETED and the object, or BOOKMARK and how far it has come."""

    kind: str
    object: Object


class Kubernetes:
    """The API as ``api`` reaches it. What passes (429, 5xx, a lost connection where sending again does nothing twice)
    is tried again by ``retries``, as ``Retry-After`` says; no answer within ``read_seconds`` is a lost connection.
    Every method raises :class:`KubernetesError`.
    """

    def __init__(
        self,
        api: ApiClient,
        *,
        retries: RetryPolicy = RETRIES,
        read_seconds: float = READ_SECONDS,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.api = api
        # The published types leave out what the generated calls are made of.
        self._calls: Any = api
        self._retries, self._read_seconds = retries, read_seconds
        self._clock, self._sleep, self._draw = clock, sleep, draw

    @classmethod
    def at(cls, configuration: Configuration, **settings: Any) -> Self:
        """The API where the client's ``configuration`` says; ``settings`` are those of the constructor."""
        from kubernetes.client import ApiClient

        # The client's own retries would sleep for themselves, and again for each of ours.
        configuration.retries = False
        return cls(ApiClient(configuration), **settings)

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """The object of that name."""
        return self._asked("GET", resource.path(namespace, name))

    def list(self, selection: Selection) -> Listing:
        """All that are selected, read page by page."""
        path, query = selection.resource.path(selection.namespace), selection.query
        items: list[Object] = []
        token = ""
        while True:
            further = [("continue", token)] if token else []
            answer = self._asked("GET", path, [*query, ("limit", str(PAGE)), *further])
            items += answer.get("items") or ()
            token = part(answer, "metadata").get("continue") or ""
            if not token:
                return Listing(tuple(items), part(answer, "metadata").get("resourceVersion", ""))

    def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        operations: Sequence[Operation],
        *,
        dry: bool = False,
    ) -> Object:
        """Carry out a JSON patch. Raises :class:`Changed` when a test in it does not hold."""
        query = [("fieldManager", FIELD_MANAGER), *([("dryRun", "All")] if dry else [])]
        path = resource.path(namespace, name)
        return self._asked("PATCH", path, query, list(operations), JSON_PATCH, is_harmless=False)

    def create(
        self, resource: Resource, namespace: str | None, body: Object, *, of: tuple[str, str] | None = None
    ) -> Object:
        """Create an object; ``of`` names the object and the subresource that it is created under.

        Nothing is tried again: what a second answer would mean is for the caller to know.
        """
        name, subresource = of or (None, None)
        return self._sent("POST", resource.path(namespace, name, subresource), [], dict(body), JSON)

    def watch(self, selection: Selection, version: str, seconds: float) -> Iterator[Event]:
        """What becomes of the selected objects behind ``version``, for so long. Nothing is tried again.

        Raises :class:`Gone` when that is no longer kept.
        """
        query = [
            *selection.query,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(max(1, round(seconds)))),
        ]
        path = selection.resource.path(selection.namespace)
        answer = self._answer("GET", path, query, None, JSON, seconds + self._read_seconds)
        try:
            yield from map(_event, _lines(answer))
        finally:
            answer.response.close()

    def _asked(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        kind: str = JSON,
        *,
        is_harmless: bool = True,
    ) -> Object:
        failed = 0
        while True:
            try:
                return self._sent(method, path, query, body, kind)
            except Changed:
                raise
            except KubernetesError as error:
                failure = Failure(error.status, error.headers, is_harmless)
                wait = self._retries.wait(failed, failure, self._clock(), self._draw())
                if wait is None:
                    raise
            failed += 1
            self._sleep(wait)

    def _sent(self, method: str, path: str, query: Sequence[tuple[str, str]], body: Any, kind: str) -> Object:
        from urllib3.exceptions import HTTPError

        answer = self._answer(method, path, query, body, kind, self._read_seconds)
        try:
            return _read(answer.read())
        except HTTPError as error:
            raise Unreachable(f"the answer to {method} {path} broke off: {error}") from error

    def _answer(
        self, method: str, path: str, query: Sequence[tuple[str, str]], body: Any, kind: str, seconds: float
    ) -> Any:
        """An answer with a status below 300, its body unread."""
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": JSON, "Content-Type": kind}
        request = self._calls.param_serialize(
            method, path, query_params=list(query), header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            answer = self._calls.call_api(*request, _request_timeout=(CONNECT_SECONDS, seconds))
            if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
                raise _refused(answer)
        except (HTTPError, ApiException, OSError) as error:
            raise Unreachable(f"{self._calls.configuration.host} does not answer: {error}") from error
        return answer


def _refused(answer: Any) -> KubernetesError:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    try:
        message = str(_read(answer.read())["message"])
    except (ValueError, KeyError, TypeError, KubernetesError):
        message = f"{answer.status} {answer.reason}"
    return refusal(answer.status, message, headers)


def _read(body: bytes) -> Object:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise Unreachable(f"the answer is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unreachable("the answer is no object of the API")
    return value


def _lines(answer: Any) -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError

    rest = b""
    try:
        for piece in answer.response.stream(decode_content=True):
            *whole, rest = (rest + piece).split(b"\n")
            yield from filter(None, whole)
    except (HTTPError, OSError) as error:
        raise Unreachable(f"the watch broke off: {error}") from error


def _event(line: bytes) -> Event:
    """An event. Raises what an ERROR event tells."""
    value = _read(line)
    event = Event(value.get("type", ""), part(value, "object"))
    if event.kind == "ERROR":
        status = event.object.get("code", HTTPStatus.INTERNAL_SERVER_ERROR)
        raise refusal(status, event.object.get("message") or "the watch failed", {})
    return event
