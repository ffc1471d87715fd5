from __future__ import annotations

from typing import Any

import pytest

from deployments.errors import UnsupportedParameter
from deployments.gateway.responses.body import told_of_responses
from deployments.state.memory import MemoryStore
from tests.deployments.gateway.durable import durable_gateway, post
from tests.deployments.gateway.scripted import client, saying

ASKED: dict[str, Any] = {"model": "tiny", "input": "hi"}
PATH = "/v1/responses"

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"input": []}, "invalid_request_error", "input"),
    ({"input": 7}, "invalid_request_error", "input"),
    ({"input": [{"role": "tool", "content": "x"}]}, "invalid_request_error", "input[0].role"),
    ({"input": [{"type": "function_call_output", "output": "x"}]}, "unsupported_parameter", "input"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        "unsupported_parameter",
        "input[0].content",
    ),
    ({"input": "<|mask|>"}, "invalid_request_error", "input"),
    ({"max_output_tokens": 0}, "invalid_request_error", "max_output_tokens"),
    ({"max_output_tokens": 10**6}, "context_length_exceeded", "max_output_tokens"),
    ({"previous_response_id": "resp-1"}, "unsupported_parameter", "previous_response_id"),
    ({"conversation": "c"}, "unsupported_parameter", "conversation"),
    ({"tools": [{"type": "web_search"}]}, "unsupported_parameter", "tools"),
    ({"tool_choice": "required"}, "unsupported_parameter", "tool_choice"),
    ({"text": {"format": {"type": "json_object"}}}, "unsupported_parameter", "text.format.type"),
    ({"include": ["message.output_text.logprobs"]}, "unsupported_parameter", "include"),
    ({"truncation": "auto"}, "unsupported_parameter", "truncation"),
    ({"reasoning": {"effort": "endless"}}, "invalid_request_error", "reasoning.effort"),
    ({"reasoning": {"summary": "auto"}}, "unsupported_parameter", "reasoning.summary"),
    ({"background": True, "store": False}, "invalid_request_error", "store"),
    ({"stream_options": {"include_obfuscation": False}}, "invalid_request_error", "stream_options"),
    ({"diffusion": {"stream": "canvas"}}, "invalid_request_error", "diffusion.stream"),
]


@pytest.mark.parametrize(("fields", "code", "parameter"), REFUSED)
async def test_a_field_is_refused_by_name(fields: dict[str, Any], code: str, parameter: str) -> None:
    async with client(durable_gateway(saying("never"), MemoryStore())) as http:
        response = await http.post(PATH, json=ASKED | fields)
    assert response.status_code == 400, response.text
    assert (response.json()["error"]["code"], response.json()["error"]["param"]) == (code, parameter)


@pytest.mark.parametrize(
    ("chat", "here"), [("reasoning_effort", "reasoning.effort"), ("messages", "input"), ("seed", "seed"), (None, None)]
)
def test_a_refused_chat_answer_is_told_in_the_words_of_responses(chat: str | None, here: str | None) -> None:
    with pytest.raises(UnsupportedParameter) as refusal, told_of_responses():
        raise UnsupportedParameter(parameter=chat)
    assert refusal.value.parameter == here


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"stream": "true", "starting_after": "x"}, "starting_after"),
        ({"starting_after": "1"}, "starting_after"),
        ({"stream": "maybe"}, "stream"),
        ({"include": "x"}, "include"),
        ({"include_obfuscation": "true"}, "include_obfuscation"),
    ],
)
async def test_a_query_is_refused_by_name(query: dict[str, str], parameter: str) -> None:
    async with client(durable_gateway(saying("ok"), MemoryStore())) as http:
        made = (await post(http, PATH, ASKED)).json()
        response = await http.get(f"{PATH}/{made['id']}", params=query)
    assert (response.status_code, response.json()["error"]["param"]) == (400, parameter)
