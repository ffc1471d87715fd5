"""The connections of one client."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx

from cluster.client.sse import EventDecoder, ServerSentEvent
from loadtest.exchanges.account import Account, Failure, Json
from loadtest.scenario.scenario import Models

PATIENCE_SECONDS = 600.0
"""A load test gives up by its own clock, not by that of a connection."""

QUEUE = "x-dllm-queue-ms"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cluster is, the models that are asked there, and the key of each tenant. ``base_url`` ends in ``/v1``;
    without a ``grpc_address`` nothing is asked by gRPC.
    """

    base_url: str
    grpc_address: str | None
    models: Models
    keys: Mapping[str, str]
    deadlines: Mapping[str, float]


class Wire:
    """Asks as any tenant. It is closed when its client is gone and the last of its requests has ended."""

    def __init__(self, place: Place, transport: httpx.BaseTransport | None = None) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=16)
        self.place = place
        self.http = httpx.Client(base_url=place.base_url, timeout=PATIENCE_SECONDS, limits=limits, transport=transport)
        self._channel: grpc.Channel | None = None
        self._uses, self._is_retired = 0, False

    def hold(self) -> None:
        """One more request needs it."""
        self._uses += 1

    def release(self) -> None:
        """One request less does."""
        self._uses -= 1
        self._close_if_idle()

    def retire(self) -> None:
        """Its client is gone."""
        self._is_retired = True
        self._close_if_idle()

    @property
    def channel(self) -> grpc.Channel:
        """The gRPC connection, which is made when it is needed."""
        if self._channel is None:
            if self.place.grpc_address is None:
                raise Failure("no_grpc_address")
            self._channel = grpc.insecure_channel(self.place.grpc_address)
        return self._channel

    def headers(self, account: Account) -> dict[str, str]:
        """The tenant's key, and until when it wants the answer. Raises :class:`Failure` when that is over already."""
        tenant = account.arrival.tenant
        headers = {"authorization": f"Bearer {self.place.keys[tenant]}"}
        deadline = self.place.deadlines.get(tenant)
        if deadline is not None:
            left = account.arrival.at + deadline - account.clock()
            if left <= 0:
                raise Failure("deadline_missed", "the load generator was later than the deadline")
            headers["x-dllm-deadline-ms"] = str(max(1, int(1000 * left)))
        return headers

    def whole(self, account: Account, method: str, path: str, body: Json | None = None) -> Json:
        """The body of an answer in one piece. Raises :class:`Failure` for a refusal."""
        with _connected():
            answer = self.http.request(method, path, json=body, headers=self.headers(account))
        _accept(account, answer, answer.content)
        told: Json = answer.json()
        return told

    def events(self, account: Account, method: str, path: str, body: Json | None = None) -> Generator[ServerSentEvent]:
        """The events of a stream, each as soon as its last byte is here. Raises :class:`Failure`."""
        decoder, headers = EventDecoder(), self.headers(account)
        with _connected(), self.http.stream(method, path, json=body, headers=headers) as answer:
            _accept(account, answer, b"" if answer.is_success else answer.read())
            for piece in answer.iter_raw():
                yield from decoder.feed(piece)

    def _close_if_idle(self) -> None:
        if self._is_retired and not self._uses:
            self.http.close()
            if self._channel is not None:
                self._channel.close()


@contextmanager
def _connected() -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise Failure("connection_lost", f"{type(error).__name__}: {error}") from error


def _accept(account: Account, answer: httpx.Response, content: bytes) -> None:
    queued = answer.headers.get(QUEUE)
    if queued is not None:
        account.queue_seconds = float(queued) / 1000
    if not answer.is_success:
        raise refusal(answer.status_code, content)


def refusal(status: int, content: bytes) -> Failure:
    """The failure that an error's body tells of. What stands before a gateway answers in words of its own."""
    try:
        error: Mapping[str, Any] = json.loads(content)["error"]
        return Failure(error["code"], error["message"])
    except (ValueError, KeyError, TypeError):
        return Failure(f"status_{status}")
