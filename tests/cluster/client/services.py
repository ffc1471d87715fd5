"""A service that follows a script, and clients to whom waiting takes no time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from cluster.client import AsyncClient, Client, RetryPolicy

NOW = 1_700_000_000.0
BASE_URL, KEY = "http://service/v1", "dllm_dev_key"

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
"""What a request meets: a response, a connection that fails, or something that looks at it first."""


@dataclass(slots=True)
class Service:
    """Answers one request after the other as its script says, and keeps what it was sent."""

    script: Sequence[Answer]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self.script[len(self.requests)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests if request.content]


@dataclass(slots=True)
class Waits:
    """Time that passes at once."""

    seconds: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)

    async def async_sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


def client_of(service: Service, waits: Waits | None = None, retries: int = 2) -> Client:
    return Client(
        BASE_URL,
        KEY,
        retries=RetryPolicy(retries),
        transport=httpx.MockTransport(service),
        clock=lambda: NOW,
        sleep=(waits or Waits()).sleep,
        draw=lambda: 0.0,
    )


def async_client_of(service: Service, waits: Waits | None = None, retries: int = 2) -> AsyncClient:
    return AsyncClient(
        BASE_URL,
        KEY,
        retries=RetryPolicy(retries),
        transport=httpx.MockTransport(service),
        clock=lambda: NOW,
        sleep=(waits or Waits()).async_sleep,
        draw=lambda: 0.0,
    )


def refusal(status: int, code: str, **headers: str) -> httpx.Response:
    error = {"message": f"This is {code}.", "type": "some_error", "param": None, "code": code}
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json={"error": error, "request_id": "req_1"}, headers=told)


def usage(tokens: int) -> dict[str, Any]:
    work = {"denoising_steps": 4, "forward_passes": 5, "position_forwards": 96, "canvases": 1}
    return {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3 + tokens, "diffusion": work}


def chat_answer(text: str) -> httpx.Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "chatcmpl-1", "created": 1, "model": "tiny", "system_fingerprint": "rev-1", "choices": [choice]}
    return httpx.Response(200, json={**body, "usage": usage(len(text))}, headers={"x-request-id": "req_1"})


def frames(*texts: str) -> list[bytes]:
    """The numbered frames of a chat stream that says ``texts``, and its end."""
    deltas: list[dict[str, Any]] = [{"role": "assistant"}, *({"content": text} for text in texts)]
    parts: list[tuple[dict[str, Any], str | None]] = [*((delta, None) for delta in deltas), ({}, "stop")]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": None} for delta, reason in parts
    ]
    chunks.append({"choices": [], "usage": usage(len("".join(texts)))})
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
    numbered = [
        b"id: %d\ndata: %b\n\n" % (number, json.dumps({**head, **chunk}).encode())
        for number, chunk in enumerate(chunks, 1)
    ]
    return [*numbered, b"data: [DONE]\n\n"]


class CutOff(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body whose connection breaks behind the last of its pieces."""

    def __init__(self, pieces: Sequence[bytes], error: httpx.TransportError | None) -> None:
        self._pieces, self._error = pieces, error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def cut_off(*pieces: bytes, error: httpx.TransportError | None = None) -> httpx.Response:
    """A stream that breaks; without an ``error`` it ends as if that were all."""
    return httpx.Response(200, stream=CutOff(pieces, error))
