"""The client against the gateway itself, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI

from cluster.client import AsyncClient, Terms
from cluster.client.errors import InvalidApiKey, InvalidRequest, ModelNotFound, ResponseNotFound
from cluster.client.events import Event, Finished, Started, TextDelta, Used
from deployments.state.memory import MemoryStore
from tests.cluster.client.services import Waits, cut_off
from tests.deployments.gateway.durable import durable_gateway, serving
from tests.deployments.gateway.scripted import KEY, filling, saying

Call = Callable[[AsyncClient], Awaitable[object]]

TEXTS = ("Hello, ", "w\N{LATIN SMALL LETTER O WITH DIAERESIS}rld", "!")


class Cutting(httpx.AsyncBaseTransport):
    """Brings what the gateway answers, but breaks the first stream behind so many bytes."""

    def __init__(self, app: FastAPI, at: int) -> None:
        self._gateway, self._at = httpx.ASGITransport(app), at
        self.cuts = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._gateway.handle_async_request(request)
        content = await response.aread()
        if self.cuts or self._at >= len(content):
            return httpx.Response(response.status_code, headers=response.headers, content=content)
        self.cuts += 1
        return cut_off(content[: self._at], error=httpx.ReadError("the connection is gone"))


@asynccontextmanager
async def asking(
    app: FastAPI, transport: httpx.AsyncBaseTransport | None = None, key: str = KEY
) -> AsyncIterator[AsyncClient]:
    transport = transport or httpx.ASGITransport(app)
    client = AsyncClient("http://gateway/v1", key, transport=transport, sleep=Waits().async_sleep)
    async with serving(app), client:
        yield client


def gateway() -> FastAPI:
    return durable_gateway(saying(*TEXTS), MemoryStore())


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_an_answer_and_its_stream_say_the_same() -> None:
    async with asking(gateway()) as client:
        whole = await client.chat("hi", "tiny", terms=Terms(request_id="mine"))
        async with client.stream_chat("hi", "tiny") as stream:
            events = [event async for event in stream]
    assert whole.text == text_of(events) == "".join(TEXTS)
    assert whole.request_id == "mine"
    started, used, finished = events[0], events[-1], events[-2]
    assert isinstance(started, Started)
    assert isinstance(used, Used)
    assert used.usage.completion_tokens == whole.usage.completion_tokens > 0
    assert used.usage.diffusion == whole.usage.diffusion
    assert finished == Finished(whole.choices[0].finish_reason)


async def test_choices_are_told_apart() -> None:
    async with asking(gateway()) as client:
        whole = await client.complete("x", "tiny", n=2)
        async with client.stream_completion("x", "tiny", n=2) as stream:
            events = [event async for event in stream]
    assert [choice.text for choice in whole.choices] == ["".join(TEXTS)] * 2
    for choice in range(2):
        mine = [event for event in events if isinstance(event, TextDelta) and event.choice == choice]
        assert text_of([*mine]) == "".join(TEXTS)


async def test_a_template_is_filled_hole_by_hole() -> None:
    app = durable_gateway(filling("one", "two"), MemoryStore())
    async with asking(app) as client:
        whole = await client.infill("a {{hole}} b {{hole}} c", "tiny", hole_tokens=[4, 4])
        async with client.stream_infill("a {{hole}} b {{hole}} c", "tiny", hole_tokens=4) as stream:
            events = [event async for event in stream]
    assert (whole.text, whole.holes) == ("a one b two c", ("one", "two"))
    assert text_of(events) == whole.text
    deltas = [event for event in events if isinstance(event, TextDelta)]
    assert "".join(delta.text for delta in deltas if delta.hole == 1) == "two"


async def test_a_stored_stream_survives_a_cut_behind_each_of_its_bytes() -> None:
    store = MemoryStore()
    app = durable_gateway(saying(*TEXTS), store)
    async with asking(app) as client, client.stream_chat("hi", "tiny", resume=True) as stream:
        uncut = [event async for event in stream]
    resumed = 0
    for at in range(300, 1300, 50):
        transport = Cutting(app, at)
        async with asking(app, transport) as client, client.stream_chat("hi", "tiny", resume=True) as stream:
            assert text_of([event async for event in stream]) == text_of(uncut)
        resumed += transport.cuts
    assert resumed > 10


async def test_a_request_is_known_by_the_id_of_its_answer() -> None:
    async with asking(gateway()) as client:
        async with client.stream_chat("hi", "tiny", resume=True) as stream:
            started, *_ = [event async for event in stream]
        assert isinstance(started, Started)
        record = await client.request(started.id)
        assert (record.status, record.model, record.endpoint) == ("completed", "tiny", "/v1/chat/completions")
        assert (await client.cancel(started.id)).status == "completed"
        async with client.resumed(started.id, after=2) as rest:
            assert text_of([event async for event in rest]) == "".join(TEXTS[1:])


async def test_models_and_usage_are_told() -> None:
    async with asking(gateway()) as client:
        await client.chat("hi", "tiny")
        (model,) = (await client.models()).data
        assert (model.id, (await client.model("tiny")).dllm) == ("tiny", model.dllm)
        assert (await client.usage()).request_id is not None


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda client: client.chat("hi", "nothing"), ModelNotFound),
        (lambda client: client.chat("hi", "tiny", temperature=-1.0), InvalidRequest),
        (lambda client: client.request("chatcmpl-0"), ResponseNotFound),
    ],
)
async def test_refusals_are_raised_by_their_codes(call: Call, kind: type[Exception]) -> None:
    async with asking(gateway()) as client:
        with pytest.raises(kind):
            await call(client)


async def test_a_wrong_key_opens_nothing() -> None:
    async with asking(gateway(), key="wrong") as client:
        with pytest.raises(InvalidApiKey) as raised:
            await client.models()
    assert raised.value.request_id is not None
