"""Both clients against a service that follows a script: what they send, and when they send it again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from cluster.client import ConnectionFailed, Terms, UnexpectedAnswer
from cluster.client.answers import ChatCompletion
from cluster.client.errors import (
    ClientError,
    DeadlineExceeded,
    InsufficientQuota,
    NoReplica,
    RateLimitExceeded,
    ResponseNotFound,
)
from cluster.client.events import Event, TextDelta
from tests.cluster.client.services import (
    KEY,
    Service,
    Waits,
    async_client_of,
    chat_answer,
    client_of,
    cut_off,
    frames,
    refusal,
)

LOST = httpx.ReadError("the connection is gone")
NEVER_SENT = httpx.ConnectError("nobody listens")

Ask = Callable[[Service, Waits, Terms], Awaitable[ChatCompletion]]
Listen = Callable[[Service, Waits, bool], Awaitable[list[Event]]]


async def ask_sync(service: Service, waits: Waits, terms: Terms) -> ChatCompletion:
    with client_of(service, waits) as client:
        return client.chat("hi", "tiny", terms=terms, max_tokens=5)


async def ask_async(service: Service, waits: Waits, terms: Terms) -> ChatCompletion:
    async with async_client_of(service, waits) as client:
        return await client.chat("hi", "tiny", terms=terms, max_tokens=5)


async def listen_sync(service: Service, waits: Waits, resume: bool) -> list[Event]:
    with client_of(service, waits) as client, client.stream_chat("hi", "tiny", resume=resume) as stream:
        return list(stream)


async def listen_async(service: Service, waits: Waits, resume: bool) -> list[Event]:
    async with async_client_of(service, waits) as client, client.stream_chat("hi", "tiny", resume=resume) as stream:
        return [event async for event in stream]


both = pytest.mark.parametrize("ask", [ask_sync, ask_async])
listened = pytest.mark.parametrize("listen", [listen_sync, listen_async])


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@both
async def test_a_question_is_sent_with_the_key_and_its_answer_is_read(ask: Ask) -> None:
    service = Service([chat_answer("hello")])
    answer = await ask(service, Waits(), Terms())
    assert (answer.text, answer.usage.completion_tokens, answer.request_id) == ("hello", 5, "req_1")
    (request,) = service.requests
    assert (request.method, str(request.url)) == ("POST", "http://service/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert "idempotency-key" not in request.headers
    assert service.bodies() == [{"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}]


@both
async def test_terms_are_sent_as_headers(ask: Ask) -> None:
    service = Service([chat_answer("hello")])
    await ask(service, Waits(), Terms("key-1", deadline_seconds=1.25, request_id="mine"))
    headers = service.requests[0].headers
    sent = (headers["idempotency-key"], headers["x-dllm-deadline-ms"], headers["x-request-id"])
    assert sent == ("key-1", "1250", "mine")


@both
async def test_the_service_says_when_to_come_back(ask: Ask) -> None:
    refusals = [
        refusal(429, "rate_limit_exceeded", retry_after_ms="1500", retry_after="9"),
        refusal(503, "no_replica", retry_after="3"),
    ]
    service, waits = Service([*refusals, chat_answer("at last")]), Waits()
    assert (await ask(service, waits, Terms())).text == "at last"
    assert waits.seconds == [1.5, 3.0]
    assert len({request.content for request in service.requests}) == 1


@both
@pytest.mark.parametrize(
    ("fail", "kind", "attempts"),
    [
        (lambda: refusal(503, "no_replica"), NoReplica, 3),
        (lambda: refusal(503, "no_replica", retry_after="121"), NoReplica, 1),
        (lambda: refusal(504, "deadline_exceeded", x_should_retry="false"), DeadlineExceeded, 1),
        (lambda: refusal(402, "insufficient_quota"), InsufficientQuota, 1),
        (lambda: httpx.Response(502, text="Bad Gateway"), UnexpectedAnswer, 3),
        (lambda: httpx.Response(200, text="<html>"), UnexpectedAnswer, 1),
        (lambda: NEVER_SENT, ConnectionFailed, 3),
        (lambda: LOST, ConnectionFailed, 1),
    ],
)
async def test_what_fails_for_good_is_raised(
    ask: Ask, fail: Callable[[], httpx.Response | Exception], kind: type[ClientError], attempts: int
) -> None:
    service = Service([fail() for _ in range(9)])
    with pytest.raises(kind):
        await ask(service, Waits(), Terms())
    assert len(service.requests) == attempts


@both
async def test_an_error_carries_what_the_service_told(ask: Ask) -> None:
    with pytest.raises(RateLimitExceeded, match="This is rate_limit_exceeded") as raised:
        await ask(Service([refusal(429, "rate_limit_exceeded", retry_after_ms="200000")]), Waits(), Terms())
    assert (raised.value.status, raised.value.retry_after, raised.value.request_id) == (429, 200.0, "req_1")


@both
async def test_an_answer_lost_on_the_way_is_asked_for_again_only_under_an_idempotency_key(ask: Ask) -> None:
    service = Service([LOST, chat_answer("once")])
    assert (await ask(service, Waits(), Terms("key-1"))).text == "once"
    assert [request.headers["idempotency-key"] for request in service.requests] == ["key-1"] * 2


@listened
async def test_a_stream_is_asked_for_with_its_usage(listen: Listen) -> None:
    service = Service([cut_off(*frames("a", "b"))])
    assert text_of(await listen(service, Waits(), False)) == "ab"
    (body,) = service.bodies()
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert "store_stream" not in body


@listened
async def test_a_stream_that_is_refused_is_tried_again_before_it_begins(listen: Listen) -> None:
    service, waits = Service([refusal(503, "overloaded", retry_after="2"), cut_off(*frames("a"))]), Waits()
    assert text_of(await listen(service, waits, False)) == "a"
    assert waits.seconds == [2.0]


@listened
@pytest.mark.parametrize("error", [LOST, None])
async def test_a_stream_that_is_cut_off_goes_on_behind_the_last_frame(
    listen: Listen, error: httpx.TransportError | None
) -> None:
    wire = frames("a", "b", "c")
    script = [cut_off(*wire[:2], wire[2][:9], error=error), cut_off(*wire[2:4], error=error), cut_off(*wire[4:])]
    service, waits = Service(script), Waits()
    assert text_of(await listen(service, waits, True)) == "abc"
    assert service.bodies()[0]["store_stream"] is True
    resumed = [(request.method, request.url.path, request.headers["last-event-id"]) for request in service.requests[1:]]
    assert resumed == [("GET", "/v1/requests/chatcmpl-1/stream", number) for number in ("2", "4")]
    assert waits.seconds == [0.5, 0.5]


@listened
async def test_a_stream_that_does_not_get_on_is_given_up(listen: Listen) -> None:
    service, waits = Service([cut_off(*frames("a")[:2]), *(cut_off() for _ in range(9))]), Waits()
    with pytest.raises(ConnectionFailed):
        await listen(service, waits, True)
    assert len(service.requests) == 3
    assert waits.seconds == [0.5, 1.0]


@listened
async def test_a_stream_whose_record_is_gone_says_so(listen: Listen) -> None:
    with pytest.raises(ResponseNotFound):
        await listen(Service([cut_off(*frames("a")[:2]), refusal(404, "response_not_found")]), Waits(), True)


@listened
@pytest.mark.parametrize(("came", "resume"), [(2, False), (0, True)])
async def test_a_stream_that_cannot_be_asked_for_again_ends_with_its_connection(
    listen: Listen, came: int, resume: bool
) -> None:
    service = Service([cut_off(*frames("a")[:came], error=LOST)])
    with pytest.raises(ConnectionFailed, match=f"behind frame {came}"):
        await listen(service, Waits(), resume)


def test_a_stream_of_an_earlier_request_is_read_behind_a_frame() -> None:
    service = Service([cut_off(*frames("a", "b")[2:])])
    with client_of(service) as client, client.resumed("chatcmpl-1", after=2) as stream:
        assert text_of(list(stream)) == "b"
    assert service.requests[0].headers["last-event-id"] == "2"


def test_a_stream_is_read_within_its_block() -> None:
    with client_of(Service([])) as client, pytest.raises(ConnectionFailed):
        list(client.stream_chat("hi", "tiny"))


@pytest.mark.parametrize(
    ("call", "method", "path"),
    [
        (lambda client: client.request("a/b"), "GET", "/v1/requests/a%2Fb"),
        (lambda client: client.cancel("a"), "POST", "/v1/requests/a/cancel"),
        (lambda client: client.model("org/name"), "GET", "/v1/models/org/name"),
        (lambda client: client.models(), "GET", "/v1/models"),
        (lambda client: client.usage("2026-01-01"), "GET", "/v1/usage?start=2026-01-01"),
    ],
)
def test_what_generates_nothing_is_asked_for_again(call: Any, method: str, path: str) -> None:
    service = Service([LOST, refusal(404, "not_found")])
    with client_of(service) as client, pytest.raises(ClientError, match="not_found"):
        call(client)
    sent = [(request.method, request.url.raw_path.decode()) for request in service.requests]
    assert sent == [(method, path)] * 2
