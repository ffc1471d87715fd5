"""What a client writes down is what it saw."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from tests.chaos.clients import Client, Json, Seen
from tests.chaos.history import Answer, faults

BODY: Json = {"model": "m", "prompt": "p", "store_stream": True}
EXPECTED = Answer("ab", "stop", 7)


class Cut(httpx.AsyncByteStream):
    """Some bytes, and then no connection."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data
        raise httpx.RemoteProtocolError("cut")


def chunk(number: int, text: str = "", finish: str | None = None) -> bytes:
    data = {"id": "cmpl-1", "choices": [{"text": text, "finish_reason": finish}]}
    return b"id: %d\ndata: %b\n\n" % (number, json.dumps(data).encode())


CANVAS = b'data: {"id": "cmpl-1", "choices": [{"text": "", "finish_reason": null}], "diffusion": {"seq": 1}}\n\n'
USAGE = b'id: 5\ndata: {"id": "cmpl-1", "choices": [], "usage": {"diffusion": {"position_forwards": 9}}}\n\n'
DONE = b"data: [DONE]\n\n"
FRAMES = [chunk(1), chunk(2, "a"), chunk(3, "b"), chunk(4, finish="stop"), USAGE]


def client_of(*replies: httpx.Response | Exception) -> tuple[Client, list[httpx.Request]]:
    pending, asked = list(replies), list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        reply = pending.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    client = Client("http://gateway", "key")
    client.http = httpx.AsyncClient(base_url="http://gateway", transport=httpx.MockTransport(answer))
    return client, asked


def stream(*parts: bytes) -> httpx.Response:
    return httpx.Response(200, content=b"".join(parts))


async def told(*replies: httpx.Response | Exception, body: Json = BODY) -> tuple[Seen, list[httpx.Request]]:
    client, asked = client_of(*replies)
    seen = await client.tell(Seen("r", body))
    await client.close()
    return seen, asked


async def test_a_whole_stream_is_one_reading() -> None:
    seen, _ = await told(stream(b": keep-alive\n", CANVAS, *FRAMES, DONE))
    assert faults(seen.story(EXPECTED)) == ()
    assert (seen.id, seen.last, seen.position_forwards) == ("cmpl-1", 5, 9)
    assert [frame.number for frame in seen.readings[0].frames] == [None, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("refusal", [httpx.Response(503), httpx.ConnectError("nobody"), httpx.Response(500)])
async def test_a_stream_that_is_cut_is_read_on_behind_the_last_frame(
    refusal: httpx.Response | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.chaos.clients.RETRY_SECONDS", 0.0)
    if isinstance(refusal, httpx.Response):
        refusal = httpx.Response(refusal.status_code, json={"error": {"code": "unavailable"}})
    cut = httpx.Response(200, stream=Cut(b"".join(FRAMES[:2])))
    seen, asked = await told(cut, refusal, stream(*FRAMES[2:], DONE))
    assert faults(seen.story(EXPECTED)) == ()
    assert [reading.whole for reading in seen.readings] == [False, True]
    assert asked[-1].url.path == "/v1/requests/cmpl-1/stream"
    assert asked[-1].headers["last-event-id"] == "2"


async def test_a_stream_that_cannot_be_read_on_stays_cut() -> None:
    seen, asked = await told(httpx.Response(200, stream=Cut(FRAMES[0])), body=BODY | {"store_stream": False})
    assert len(asked) == 1
    assert [fault.kind for fault in faults(seen.story(EXPECTED))] == ["lost"]


@pytest.mark.parametrize(
    "reply",
    [
        stream(FRAMES[0], b'data: {"error": {"code": "replicas_lost"}}\n\n', DONE),
        httpx.Response(400, json={"error": {"code": "replicas_lost"}}),
    ],
)
async def test_an_error_is_written_down(reply: httpx.Response) -> None:
    seen, _ = await told(reply)
    assert seen.readings[0].frames[-1].error == "replicas_lost"


async def test_an_answer_without_a_code_is_told_by_its_status() -> None:
    seen, _ = await told(httpx.Response(500, content=b"Internal Server Error"))
    assert [frame.error for frame in seen.readings[0].frames] == ["status 500"]


async def test_the_watcher_sees_each_chunk() -> None:
    watched: list[Json] = []
    client, _ = client_of(stream(CANVAS, *FRAMES, DONE))
    await client.tell(Seen("r", BODY), watched.append)
    await client.close()
    assert len(watched) == 6


async def test_what_a_request_gives_undisturbed() -> None:
    usage = {"diffusion": {"position_forwards": 7}}
    whole = {"id": "cmpl-1", "choices": [{"text": "ab", "finish_reason": "stop"}], "usage": usage}
    client, asked = client_of(httpx.Response(200, json=whole))
    watched = {"diffusion": {"stream": "canvas", "max_steps": 4}}
    assert await client.answer(BODY | watched) == EXPECTED
    assert client.told == {"cmpl-1": usage}
    await client.close()
    assert json.loads(asked[0].content) == {"model": "m", "prompt": "p", "diffusion": {"max_steps": 4}}


async def test_an_account_is_read_until_it_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.chaos.clients.RETRY_SECONDS", 0.0)
    states: list[Callable[[], httpx.Response | Exception]] = [
        lambda: httpx.Response(200, json={"status": "in_progress"}),
        lambda: httpx.ConnectError("nobody"),
        lambda: httpx.Response(503),
        lambda: httpx.Response(200, json={"status": "completed"}),
    ]
    client, _ = client_of(*(state() for state in states))
    assert (await client.settled("/v1/responses/r"))["status"] == "completed"
    await client.close()
