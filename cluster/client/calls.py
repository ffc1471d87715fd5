"""The tenant's endpoints as values: what is sent, and how the answer is read. Sending is left to the clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from cluster.client.answers import ChatCompletion, Completion, Infill, Model, ModelList, RequestRecord, UsageReport
from cluster.client.errors import UnexpectedAnswer

T = TypeVar("T")
A = TypeVar("A", bound=BaseModel)


class Parameters(TypedDict, total=False):
    """Members of a generating request's body, as the API has them."""

    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    n: int
    stop: str | Sequence[str]
    logprobs: bool | int
    top_logprobs: int
    prediction: Mapping[str, Any]
    reasoning_effort: str
    service_tier: str
    metadata: Mapping[str, str]
    user: str
    diffusion: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is said beside the body of a request.

    With an ``idempotency_key`` the service stores the request and runs it once, however often it is sent; it then goes
    on when its client leaves. ``deadline_seconds`` bounds how long the whole answer may take.
    """

    idempotency_key: str | None = None
    deadline_seconds: float | None = None
    request_id: str | None = None

    def headers(self) -> dict[str, str]:
        """The same as headers."""
        milliseconds = None if self.deadline_seconds is None else str(round(self.deadline_seconds * 1000))
        told = {
            "idempotency-key": self.idempotency_key,
            "x-dllm-deadline-ms": milliseconds,
            "x-request-id": self.request_id,
        }
        return {name: value for name, value in told.items() if value is not None}


NO_TERMS = Terms()
HOLE, HOLE_TOKENS = "{{hole}}", 16


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request; ``path`` follows the base URL. ``is_harmless`` if sending it twice does nothing twice."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    is_harmless: bool = True


def read_as(kind: type[A]) -> Callable[[httpx.Response], A]:
    """Reads an answer as ``kind``, with what its headers say under the names of :class:`Answer`."""

    def read(response: httpx.Response) -> A:
        told = {"request_id": response.headers.get("x-request-id"), "degraded": response.headers.get("x-dllm-degraded")}
        try:
            return kind.model_validate({**told, **response.json()})
        except (ValueError, TypeError, ValidationError) as error:
            raise UnexpectedAnswer(f"The answer to {response.request.url.path} is not one of this API.") from error

    return read


def chat(
    messages: str | Sequence[Mapping[str, str]], model: str, parameters: Mapping[str, Any], terms: Terms
) -> Call[ChatCompletion]:
    """An answer to a conversation; a string is one turn of the user."""
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    return _generation("/chat/completions", {"messages": turns, "model": model, **parameters}, terms, ChatCompletion)


def completion(
    prompt: str, model: str, suffix: str | None, parameters: Mapping[str, Any], terms: Terms
) -> Call[Completion]:
    """What follows a prompt or, with a ``suffix``, what stands between the two."""
    between = {} if suffix is None else {"suffix": suffix}
    return _generation("/completions", {"prompt": prompt, "model": model, **between, **parameters}, terms, Completion)


def infill(
    template: str,
    model: str,
    hole: str,
    hole_tokens: int | Sequence[int],
    parameters: Mapping[str, Any],
    terms: Terms,
) -> Call[Infill]:
    """A template with each occurrence of ``hole`` filled."""
    tokens = hole_tokens if isinstance(hole_tokens, int) else list(hole_tokens)
    body = {"template": template, "model": model, "hole": hole, "hole_tokens": tokens, **parameters}
    return _generation("/infill", body, terms, Infill)


def models() -> Call[ModelList]:
    """The models that the key may use."""
    return Call("GET", "/models", read_as(ModelList))


def model(id: str) -> Call[Model]:
    """One of them."""
    return Call("GET", f"/models/{quote(id)}", read_as(Model))


def request(id: str) -> Call[RequestRecord]:
    """What is known of a request, by the id of its answer."""
    return Call("GET", f"/requests/{quote(id, safe='')}", read_as(RequestRecord))


def cancel(id: str) -> Call[RequestRecord]:
    """Its end, if it runs."""
    return Call("POST", f"/requests/{quote(id, safe='')}/cancel", read_as(RequestRecord))


def stream_of(id: str, after: int) -> Call[httpx.Response]:
    """The stream of a stored request behind frame ``after``."""
    return Call("GET", f"/requests/{quote(id, safe='')}/stream", unread, headers={"last-event-id": str(after)})


def usage(start: str | None, end: str | None) -> Call[UsageReport]:
    """The tenant's usage by day and model."""
    return Call("GET", "/usage", read_as(UsageReport), query=days(start, end))


def days(start: str | None, end: str | None) -> dict[str, str]:
    """The query for the days from ``start`` to ``end``."""
    return {name: day for name, day in (("start", start), ("end", end)) if day}


def streamed(call: Call[Any], *, stored: bool) -> Call[httpx.Response]:
    """A generating call whose answer comes as a stream; a ``stored`` one can be read again."""
    body = {**(call.body or {}), "stream": True, "stream_options": {"include_usage": True}}
    if stored:
        body["store_stream"] = True
    return Call(call.method, call.path, unread, body, call.query, call.headers, call.is_harmless)


def _generation(path: str, body: Mapping[str, Any], terms: Terms, kind: type[A]) -> Call[A]:
    is_harmless = terms.idempotency_key is not None
    return Call("POST", path, read_as(kind), body, headers=terms.headers(), is_harmless=is_harmless)


def unread(response: httpx.Response) -> httpx.Response:
    """The response as it is."""
    return response
