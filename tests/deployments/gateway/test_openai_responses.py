"""The real client's Responses API against the application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest

from deployments.state.memory import MemoryStore
from dllm_worker.request import Draft, Request
from tests.deployments.gateway.durable import durable_gateway
from tests.deployments.gateway.scripted import KEY, MASK, ScriptedPool, Step, byte_text, commits, finish, saying


@asynccontextmanager
async def sdk(pool: ScriptedPool, store: MemoryStore) -> AsyncIterator[openai.AsyncOpenAI]:
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(durable_gateway(pool, store)))
    async with openai.AsyncOpenAI(api_key=KEY, base_url="http://gateway/v1", http_client=http, max_retries=0) as client:
        yield client


async def test_a_response() -> None:
    async with sdk(ScriptedPool(saying("Hello", "!")), MemoryStore()) as client:
        answer = await client.responses.create(model="tiny", input="hi", instructions="be kind")
        again = await client.responses.retrieve(answer.id)
    assert (answer.output_text, answer.status, again) == ("Hello!", "completed", answer)
    assert answer.usage is not None
    assert answer.usage.output_tokens == 6


async def test_the_helper_for_streams_collects_the_text() -> None:
    pool = ScriptedPool(saying("Hello", "!"))
    async with sdk(pool, MemoryStore()) as client, client.responses.stream(model="tiny", input="hi") as stream:
        final = await stream.get_final_response()
    assert final.output_text == "Hello!"


async def test_a_stream_in_the_background_goes_on_behind_any_event() -> None:
    pool, store = ScriptedPool(saying("one", "two", "three")), MemoryStore()
    async with sdk(pool, store) as client, sdk(pool, store) as elsewhere:
        stream = await client.responses.create(model="tiny", input="hi", background=True, stream=True)
        events = [event async for event in stream]
        identity = events[0].response.id  # type: ignore[union-attr]
        for event in events:
            rest = await elsewhere.responses.retrieve(identity, stream=True, starting_after=event.sequence_number)
            assert [later async for later in rest] == events[event.sequence_number + 1 :]
    assert [event.type for event in events[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert len(pool.requests) == 1


async def test_a_job_is_polled_cancelled_and_deleted() -> None:
    gate = asyncio.Event()

    def script(request: Request) -> list[Step]:
        return [(), *commits(request, [byte_text().encode("one")]), gate, finish(request, 3)]

    pool = ScriptedPool(script)
    async with sdk(pool, MemoryStore()) as client:
        job = await client.responses.create(model="tiny", input="hi", background=True)
        polled = await client.responses.retrieve(job.id)
        cancelled = await client.responses.cancel(job.id)
        again = await client.responses.cancel(job.id)
        await client.responses.delete(job.id)
        with pytest.raises(openai.NotFoundError) as missing:
            await client.responses.retrieve(job.id)
    assert (job.status, polled.id) == ("queued", job.id)
    assert (cancelled.status, again) == ("cancelled", cancelled)
    assert missing.value.code == "response_not_found"
    assert pool.aborted == [job.id]


async def test_a_canvas_event_does_not_disturb_the_client() -> None:
    def script(request: Request) -> list[Step]:
        a, b = byte_text().encode("ab")
        return [(), (Draft(request.id, 0, 1, 0, (MASK, b), 1),), *commits(request, [[a, b]]), finish(request, 2)]

    body: dict[str, Any] = {"diffusion": {"stream": "canvas"}}
    async with sdk(ScriptedPool(script), MemoryStore()) as client:
        stream = await client.responses.create(model="tiny", input="hi", stream=True, extra_body=body)
        events: list[Any] = [event async for event in stream]
    assert [event.type for event in events].count("response.dllm.canvas") == 1
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "ab"


async def test_a_key_makes_a_retry_harmless() -> None:
    pool = ScriptedPool(saying("ok"))
    async with sdk(pool, MemoryStore()) as client:
        headers = {"Idempotency-Key": "k"}
        first = await client.responses.create(model="tiny", input="hi", extra_headers=headers)
        again = await client.responses.with_raw_response.create(model="tiny", input="hi", extra_headers=headers)
    assert again.parse() == first
    assert again.headers["idempotent-replayed"] == "true"
    assert len(pool.requests) == 1
