"""The real ``openai`` client against the real cluster."""

from __future__ import annotations

import asyncio

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam

from tests.end_to_end.conftest import Cluster

QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Write a Python function that adds two numbers."}
]
PROMPT = "def mean(values):\n    "


def test_models_are_listed_with_their_capabilities(client: OpenAI) -> None:
    models = {model.id: model for model in client.models.list()}
    assert set(models) == {"tiny-code", "tiny-sudoku"}
    described = client.models.retrieve("tiny-sudoku")
    assert described.model_extra is not None
    assert described.model_extra["dllm"]["canvas_length"] == 81


def test_a_chat_answer_and_its_stream_are_the_same_bytes(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="tiny-code", messages=QUESTION, max_tokens=60, seed=4, temperature=0.8)
    stream = client.chat.completions.create(
        model="tiny-code",
        messages=QUESTION,
        max_tokens=60,
        seed=4,
        temperature=0.8,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == whole.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0


def test_a_completion_stops_where_it_is_told(client: OpenAI) -> None:
    asked = {"model": "tiny-code", "prompt": PROMPT, "max_tokens": 48, "seed": 1}
    free = client.completions.create(**asked).choices[0].text  # type: ignore[call-overload]
    stop = free[len(free) // 2]
    stopped = client.completions.create(**asked, stop=[stop])  # type: ignore[call-overload]
    assert stopped.choices[0].text == free[: free.index(stop)]
    assert stopped.choices[0].finish_reason == "stop"


def test_a_suffix_makes_it_infill(client: OpenAI) -> None:
    answer = client.completions.create(
        model="tiny-code", prompt="def add(a, b):\n    ", suffix="\n\nprint(add(1, 2))\n", max_tokens=12
    )
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 12


async def test_a_stream_through_the_asynchronous_client(async_client: AsyncOpenAI) -> None:
    stream = await async_client.completions.create(model="tiny-code", prompt=PROMPT, max_tokens=24, stream=True)
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices[0].finish_reason in {"stop", "length"}


async def test_many_clients_get_what_each_would_get_alone(async_client: AsyncOpenAI) -> None:
    async def ask(number: int) -> str:
        answer = await async_client.completions.create(
            model="tiny-code", prompt=f"def f{number}(x):\n    ", max_tokens=20 + number, seed=number, temperature=0.7
        )
        return answer.choices[0].text

    together = await asyncio.gather(*(ask(number) for number in range(12)))
    assert together[3] == await ask(3)
    assert together[11] == await ask(11)


def test_raw_headers_name_the_request_once(client: OpenAI) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    raw = client.completions.with_raw_response.create(
        model="tiny-code",
        prompt="x",
        max_tokens=2,
        extra_headers={"X-Request-Id": "my-request", "traceparent": trace},
        extra_body={"frobnicate": 1},
    )
    assert raw.headers.get_list("x-request-id") == ["my-request"]
    assert raw.headers["traceparent"].split("-")[1] == trace.split("-")[1]
    assert raw.headers["x-dllm-ignored-params"] == "frobnicate"
    assert raw.headers["x-dllm-model-revision"]
    generated = client.models.with_raw_response.list()
    assert generated.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"model": "gpt-4"}, openai.NotFoundError, "model_not_found"),
        ({"max_tokens": 100_000}, openai.BadRequestError, "context_length_exceeded"),
        ({"temperature": 9}, openai.BadRequestError, "invalid_request_error"),
        ({"logit_bias": {"5": 3}}, openai.BadRequestError, "unsupported_parameter"),
        ({"extra_body": {"diffusion": {"algorithm": "wino"}}}, openai.BadRequestError, "invalid_request_error"),
        ({"extra_headers": {"Authorization": "Bearer nobody"}}, openai.AuthenticationError, "invalid_api_key"),
        ({"prompt": "x" * 70_000}, openai.APIStatusError, "request_too_large"),
    ],
)
def test_errors_reach_the_client_as_its_own_exceptions(
    client: OpenAI, changes: dict[str, object], error: type[openai.APIStatusError], code: str
) -> None:
    asked: dict[str, object] = {"model": "tiny-code", "prompt": "x", "max_tokens": 4}
    with pytest.raises(error) as refusal:
        client.completions.create(**(asked | changes))  # type: ignore[call-overload]
    assert refusal.value.code == code
    assert refusal.value.request_id


async def test_bad_input_loses_nobody_elses_request(async_client: AsyncOpenAI, cluster: Cluster) -> None:
    good = asyncio.create_task(async_client.completions.create(model="tiny-code", prompt=PROMPT, max_tokens=64))
    for _ in range(5):
        with pytest.raises(openai.BadRequestError):
            await async_client.completions.create(model="tiny-code", prompt=PROMPT, max_tokens=0)
    assert (await good).choices[0].finish_reason in {"stop", "length"}
    assert (await cluster.stats("tiny-code"))["waiting"] == 0
