from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deployments.gateway.scripted import (
    BIDIRECTIONAL,
    OTHER_KEY,
    ScriptedPool,
    client,
    filling,
    gateway,
    saying,
)
from tests.deployments.gateway.test_stream import chunks

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}


async def post(path: str, body: dict[str, Any], script: Any, **facts: Any) -> httpx.Response:
    async with client(gateway(script, **facts)) as http:
        response = await http.post(path, json=body)
    assert response.status_code == 200, response.text
    return response


async def test_chat_answers_with_text_and_the_work_behind_it() -> None:
    answer = (await post("/v1/chat/completions", CHAT, saying("Hello", "!"))).json()
    assert answer == {
        "id": "chatcmpl-01HF7YAT000W3GE1R70W3GE1R7",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "tiny",
        "system_fingerprint": "rev-1",
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello!", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 8,
            "completion_tokens": 6,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 2},
            "diffusion": {
                "denoising_steps": 4,
                "forward_passes": 6,
                "prefill_forwards": 1,
                "commit_forwards": 1,
                "position_forwards": 96,
                "canvases": 1,
                "tokens_per_forward": 1.0,
            },
        },
    }


async def test_a_message_may_be_a_list_of_text_parts() -> None:
    pool = ScriptedPool(saying("ok"))
    parts = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
    await post("/v1/chat/completions", CHAT | {"messages": [{"role": "user", "content": parts}]}, pool)
    await post("/v1/chat/completions", CHAT, pool)
    assert pool.requests[0].prompt == pool.requests[1].prompt


async def test_a_stop_string_ends_the_answer_and_the_run() -> None:
    pool = ScriptedPool(saying("one EN", "D two", "three"))
    answer = (await post("/v1/completions", {"model": "tiny", "prompt": "hi", "stop": "END"}, pool)).json()
    assert answer["choices"][0] == {"index": 0, "text": "one ", "logprobs": None, "finish_reason": "stop"}
    tokens = {name: count for name, count in answer["usage"].items() if name != "diffusion"}
    cached = {"prompt_tokens_details": {"cached_tokens": 0}}
    assert tokens == {"prompt_tokens": 3, "completion_tokens": 11, "total_tokens": 14} | cached
    assert answer["usage"]["diffusion"].keys() >= {"denoising_steps", "position_forwards"}
    assert pool.aborted == [answer["id"]]


async def test_a_suffix_gets_what_stands_before_it() -> None:
    body = {"model": "tiny", "prompt": "a = ", "suffix": "\n", "max_tokens": 4}
    answer = (await post("/v1/completions", body, filling("1"))).json()
    assert (answer["object"], answer["choices"][0]["text"]) == ("text_completion", "1")


@pytest.mark.parametrize("facts", [{}, BIDIRECTIONAL])
async def test_infill_keeps_the_template_and_lists_the_holes(facts: dict[str, Any]) -> None:
    body = {"model": "tiny", "template": "def €({{hole}}):\n  return {{hole}}\n", "hole_tokens": [3, 5]}
    answer = (await post("/v1/infill", body, filling("x", "x + é"[:5]), **facts)).json()
    assert answer["object"] == "infill"
    assert answer["text"] == "def €(x):\n  return x + \N{REPLACEMENT CHARACTER}\n"
    assert answer["holes"] == ["x", "x + \N{REPLACEMENT CHARACTER}"]
    assert answer["finish_reason"] == "stop"


async def test_a_sudoku_is_an_infill() -> None:
    puzzle = "53..7...." + "." * 72
    body = {"model": "tiny", "template": puzzle, "hole": ".", "hole_tokens": 1}
    answer = (await post("/v1/infill", body, filling("46", "8" * 76), **BIDIRECTIONAL)).json()
    assert answer["text"] == "53467" + "8" * 76
    assert answer["holes"] == ["4", "6", *["8"] * 76]


@given(st.lists(st.text("ab€ \n", max_size=4), max_size=5), st.lists(st.sampled_from(["ab", "€", " b"]), max_size=2))
@settings(deadline=None, max_examples=25)
async def test_the_stream_adds_up_to_the_answer(texts: list[str], stops: list[str]) -> None:
    body = CHAT | {"stop": stops}
    answer = (await post("/v1/chat/completions", body, saying(*texts))).json()
    streamed = chunks(await post("/v1/chat/completions", body | {"stream": True}, saying(*texts)))
    content = answer["choices"][0]["message"]["content"]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in streamed) == content
    assert streamed[-1]["choices"][0]["finish_reason"] == answer["choices"][0]["finish_reason"]


async def test_the_seed_is_drawn_where_none_is_named() -> None:
    pool = ScriptedPool(saying("ok"))
    await post("/v1/chat/completions", CHAT, pool)
    assert pool.requests[0].sampling.seed == int("07" * 8, 16) >> 1


async def test_what_is_ignored_is_listed() -> None:
    body = CHAT | {"wild": 1, "née\r\nx": 2, "messages": [{"role": "user", "content": "hi", "name": "Ada"}]}
    response = await post("/v1/chat/completions", body, saying("ok"))
    assert response.headers["x-dllm-ignored-params"] == "messages[0].name,n%C3%A9e%0D%0Ax,wild"
    assert response.headers["x-dllm-model-revision"] == "rev-1"


async def test_neutral_values_of_unsupported_parameters_are_no_offence() -> None:
    neutral: dict[str, Any] = {
        "n": 1,
        "logprobs": False,
        "top_logprobs": None,
        "tools": [],
        "tool_choice": "none",
        "response_format": {"type": "text"},
        "logit_bias": {},
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "service_tier": "auto",
        "stop": None,
        "stream_options": None,
        "user": None,
    }
    response = await post("/v1/chat/completions", CHAT | neutral, saying("ok"))
    assert "x-dllm-ignored-params" not in response.headers


async def test_the_record_of_an_answer_can_be_read_by_its_tenant_only() -> None:
    app = gateway(saying("Hello", "!"))
    body = CHAT | {"user": "ada", "metadata": {"job": "7"}, "seed": 5}
    async with client(app) as http:
        answer = (await http.post("/v1/chat/completions", json=body, headers={"x-request-id": "mine"})).json()
        record = (await http.get(f"/v1/requests/{answer['id']}")).json()
        missing = await http.get("/v1/requests/chatcmpl-unknown")
    async with client(app, OTHER_KEY) as http:
        foreign = await http.get(f"/v1/requests/{answer['id']}")
    assert (record["id"], record["object"], record["status"]) == (answer["id"], "request", "completed")
    assert (record["finish_reason"], record["usage"]) == ("stop", answer["usage"])
    assert len(record["committed_tokens"]) == 6
    assert record["parameters"]["request_id"] == "mine"
    assert record["parameters"]["metadata"] == {"job": "7"}
    assert record["parameters"]["sampling"]["seed"] == 5
    assert len(record["parameters"]["user"]) == 64
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json()["error"] == missing.json()["error"]
    assert foreign.json()["error"]["code"] == "response_not_found"
