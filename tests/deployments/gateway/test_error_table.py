"""Each error as a client meets it: what the wire says, and how often the ``openai`` client comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import openai
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments import errors
from deployments.errors import ServingError
from deployments.gateway.edge import Edge
from deployments.gateway.settings import GatewaySettings
from deployments.gateway.witness import Witness
from deployments.state.bounds import Bounds
from deployments.state.memory import MemoryStore
from dllm_worker.request import Request
from tests.deployments.gateway.cases import CASES, COMPLETION, INTERNAL, KEY, PATHS, REST_ONLY, Case
from tests.deployments.gateway.scripted import KEY as API_KEY
from tests.deployments.gateway.scripted import (
    NOW,
    ScriptedPool,
    Step,
    app_over,
    client,
    commits,
    entropy,
    gateway,
    model,
    saying,
)
from tests.deployments.test_errors import every_error

ATTEMPTS: Mapping[type[ServingError], int] = {
    errors.IdempotencyInProgress: 3,
    errors.RateLimitExceeded: 3,
    errors.ConcurrencyExceeded: 3,
    errors.QueueFull: 3,
    errors.TooManyFailedAttempts: 3,
    errors.InternalError: 3,
    errors.Unavailable: 3,
    errors.Overloaded: 3,
    errors.NoReplica: 3,
    errors.Draining: 3,
}
"""How often a client with the SDK's defaults asks; once for what is not listed."""

LONGEST_SDK_WAIT_MS = 120_000


@asynccontextmanager
async def prepared(case: Case) -> AsyncIterator[FastAPI]:
    """An application in the state in which the request of ``case`` fails."""
    begun = asyncio.Event()

    def script(request: Request) -> Iterator[Step]:
        begun.set()
        yield from case.script(request)

    pool = ScriptedPool(script)
    app = app_over({"tiny": model(pool)}, settings=case.settings, declared=case.declared, clock=lambda: NOW)
    async with client(app) as http:
        for body, headers in case.before:
            await http.post(PATHS[case.kind], json=body, headers=headers)
        if not case.under_way:
            yield app
            return
        running = asyncio.create_task(http.post(PATHS[case.kind], json=case.body, headers=case.headers))
        await begun.wait()
        yield app
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def check(response: httpx.Response, kind: type[ServingError]) -> None:
    """The answer is that of the table, and says nothing more."""
    answer = response.json()
    assert (response.status_code, answer["error"]["code"]) == (kind.status, kind.code), response.text
    assert answer["error"].keys() >= {"message", "type", "param", "code"}
    assert answer["error"]["type"] == kind.type
    assert answer["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    waits = "retry-after" in response.headers
    assert waits == ("retry-after-ms" in response.headers) == (kind.default_retry_after is not None)
    if waits:
        assert int(response.headers["retry-after"]) == -(-int(response.headers["retry-after-ms"]) // 1000)
    told = response.headers.get("x-should-retry")
    assert told == (None if kind.should_retry is None else str(kind.should_retry).lower())


BEFORE_THE_STREAM = [case for case in CASES if case.error is not errors.ReplicasLost]
"""The others are told inside a stream, which has begun."""


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_each_error_is_told_as_the_table_has_it(case: Case) -> None:
    await refused(case, case.body)


@pytest.mark.parametrize("case", BEFORE_THE_STREAM, ids=str)
async def test_a_request_for_a_stream_is_refused_alike(case: Case) -> None:
    await refused(case, case.body if case.under_way else {**case.body, "stream": True})


async def refused(case: Case, body: Mapping[str, Any]) -> None:
    async with prepared(case) as app, client(app) as http:
        response = await http.post(PATHS[case.kind], json=body, headers=case.headers)
    check(response, case.error)


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("kind", "method", "path", "content", "headers"),
    [
        (errors.UnknownParameter, "POST", "/v1/completions", b'{"model":"tiny","prompt":"x","wild":1}', JSON),
        (errors.NotFound, "GET", "/v1/unknown", b"", {}),
        (errors.ResponseNotFound, "GET", "/v1/requests/none", b"", {}),
        (errors.MethodNotAllowed, "DELETE", "/v1/completions", b"", {}),
        (errors.UnsupportedMediaType, "POST", "/v1/completions", b"{}", {"content-type": "text/plain"}),
    ],
)
async def test_errors_of_rest_alone(
    kind: type[ServingError], method: str, path: str, content: bytes, headers: dict[str, str]
) -> None:
    async with client(gateway(saying("never"), settings=GatewaySettings(refuse_unknown_parameters=True))) as http:
        response = await http.request(method, path, content=content, headers=headers)
    check(response, kind)


async def test_a_body_that_is_late() -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.get_running_loop().create_future()

    app = gateway(saying("never"), settings=GatewaySettings(body_timeout_seconds=0.001))
    async with client(app) as http:
        response = await http.post("/v1/completions", content=never(), headers=JSON)
    check(response, errors.RequestTimeout)


async def test_an_answer_that_is_longer_than_its_log() -> None:
    async with client(wordy()) as http:
        response = await http.post("/v1/completions", json=COMPLETION, headers=KEY)
    check(response, errors.StreamLogFull)


def wordy() -> FastAPI:
    """A gateway whose answers are longer than what its store keeps of them."""
    pool = ScriptedPool(lambda request: [(), *commits(request, [[70]] * 4), asyncio.Event()])
    return app_over({"tiny": model(pool)}, MemoryStore(Bounds(log_entries=2)), clock=lambda: NOW)


def test_every_error_is_met_or_internal() -> None:
    met = {case.error for case in CASES}
    assert not met & INTERNAL.keys()
    assert not met & REST_ONLY.keys()
    assert met | INTERNAL.keys() | REST_ONLY.keys() == set(every_error())


class Counted(httpx2.AsyncBaseTransport):
    """Counts the requests, and has the client wait a millisecond where it would wait at all."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx2.ASGITransport(app)
        self.attempts = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.attempts += 1
        response = await self._transport.handle_async_request(request)
        assert int(response.headers.get("retry-after-ms", "0")) <= LONGEST_SDK_WAIT_MS
        response.headers["retry-after-ms"] = "1"
        return response


async def attempts(app: ASGIApp, case: Case) -> int:
    """How often the client of the SDK, as it is, sends the request of ``case``, which always fails."""
    transport = Counted(app)
    http = httpx2.AsyncClient(transport=transport)
    async with openai.AsyncOpenAI(api_key=API_KEY, base_url="http://gateway/v1", http_client=http) as sdk:
        path, headers = PATHS[case.kind].removeprefix("/v1"), dict(case.headers)
        with pytest.raises(openai.APIStatusError) as failure:
            await sdk.post(path, cast_to=object, body=case.body, options={"headers": headers})
    assert failure.value.status_code == case.error.status
    assert failure.value.code == case.error.code
    return transport.attempts


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_sdk_comes_back_where_that_helps_and_nowhere_else(case: Case) -> None:
    async with prepared(case) as app:
        assert await attempts(app, case) == ATTEMPTS.get(case.error, 1)


async def test_the_sdk_does_not_send_a_late_body_again() -> None:
    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        raise errors.RequestTimeout

    assert await attempts(Edge(late, Witness(None, lambda: NOW, entropy)), Case(errors.RequestTimeout)) == 1


async def test_a_full_log_is_not_filled_again() -> None:
    assert await attempts(wordy(), Case(errors.StreamLogFull, headers=KEY)) == 1


def test_retry_hints_are_spread() -> None:
    jitter = entropy(1)[0] / 256
    hint = errors.Overloaded().headers(jitter)["retry-after-ms"]
    assert 1000 < int(hint) <= 1200
