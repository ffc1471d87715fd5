"""The real client against the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest

from deployments.errors import InternalError, Overloaded
from dllm_worker.request import Request
from tests.deployments.gateway.scripted import KEY, ScriptedPool, Step, commits, gateway, saying

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def sdk(
    script: Callable[[Request], list[Step]] | ScriptedPool, key: str = KEY
) -> AsyncIterator[openai.AsyncOpenAI]:
    transport = httpx2.ASGITransport(gateway(script))
    http = httpx2.AsyncClient(transport=transport)
    async with openai.AsyncOpenAI(api_key=key, base_url="http://gateway/v1", http_client=http, max_retries=0) as client:
        yield client


async def test_an_answer() -> None:
    async with sdk(saying("Hello", "!")) as client:
        raw = await client.chat.completions.with_raw_response.create(model="tiny", messages=MESSAGES, seed=3)
    answer = raw.parse()
    assert answer.choices[0].message.content == "Hello!"
    assert answer.usage is not None
    assert answer.usage.model_extra is not None
    assert answer.usage.model_extra["diffusion"]["denoising_steps"] == 4
    assert raw.headers["x-request-id"].startswith("req_")


async def test_a_stream() -> None:
    async with sdk(saying("Hello", "!")) as client:
        stream = await client.chat.completions.create(
            model="tiny", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Hello!"
    assert (chunks[-1].choices, chunks[-1].usage and chunks[-1].usage.completion_tokens) == ([], 6)


async def test_a_completion_and_the_list_of_models() -> None:
    async with sdk(saying("four")) as client:
        answer = await client.completions.create(model="tiny", prompt="2 + 2 =", max_tokens=8)
        models = [model.id async for model in client.models.list()]
    assert (answer.choices[0].text, models) == ("four", ["tiny"])


async def test_errors_are_those_of_the_sdk() -> None:
    async with sdk(saying("never")) as client:
        with pytest.raises(openai.NotFoundError) as missing:
            await client.chat.completions.create(model="huge", messages=MESSAGES)
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="tiny", messages=MESSAGES, n=17)
    async with sdk(saying("never"), key="wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    assert (refused.value.code, refused.value.param) == ("invalid_request_error", "n")
    assert refused.value.request_id == refused.value.response.headers["x-request-id"]


async def test_a_broken_stream_raises() -> None:
    def script(request: Request) -> list[Step]:
        return [(), *commits(request, [[70]]), InternalError("gone")]

    async with sdk(script) as client:
        stream = await client.chat.completions.create(model="tiny", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError, match="gone"):
            _ = [chunk async for chunk in stream]


async def test_what_helps_is_retried_and_what_does_not_is_not() -> None:
    busy = ScriptedPool(lambda request: [Overloaded(retry_after=0.001)])
    async with sdk(busy) as client:
        with pytest.raises(openai.InternalServerError):
            await client.with_options(max_retries=2).chat.completions.create(model="tiny", messages=MESSAGES)
        assert len(busy.requests) == 3
        with pytest.raises(openai.BadRequestError):
            await client.with_options(max_retries=2).chat.completions.create(model="tiny", messages=MESSAGES, n=17)
    assert len(busy.requests) == 3
