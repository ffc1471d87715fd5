from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Message, Scope

from deployments.errors import DeadlineExceeded, InternalError, NoReplica, Overloaded, QueueFull, ServingError
from deployments.gateway.body import BodyGate
from deployments.gateway.edge import Edge
from deployments.gateway.settings import GatewaySettings
from deployments.gateway.witness import Witness
from deployments.state.memory import MemoryStore
from deployments.state.record import RequestRecord
from deployments.state.store import RequestKey, StateUnavailable
from tests.deployments.gateway.scripted import AUTHORIZED, NOW, client, entropy, gateway, saying

CHAT: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
COMPLETION: dict[str, Any] = {"model": "tiny", "prompt": "hi"}
INFILL: dict[str, Any] = {"model": "tiny", "template": "a{{hole}}b"}
PATHS = {"chat": "/v1/chat/completions", "completion": "/v1/completions", "infill": "/v1/infill"}
BODIES = {"chat": CHAT, "completion": COMPLETION, "infill": INFILL}
INVALID, UNSUPPORTED, TOO_LONG = "invalid_request_error", "unsupported_parameter", "context_length_exceeded"
UNKNOWN = "unknown_parameter"

REFUSED_FIELDS: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("chat", {"model": 7}, INVALID, "model"),
    ("chat", {"messages": []}, INVALID, "messages"),
    ("chat", {"messages": "hi"}, INVALID, "messages"),
    ("chat", {"messages": [{"role": "oracle", "content": "hi"}]}, INVALID, "messages[0].role"),
    ("chat", {"messages": [{"role": "user"}]}, INVALID, "messages[0].content"),
    ("chat", {"messages": [{"role": "user", "content": None}]}, INVALID, "messages[0].content"),
    (
        "chat",
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        UNSUPPORTED,
        "messages[0].content",
    ),
    ("chat", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, INVALID, "messages[0].content"),
    ("chat", {"messages": [{"role": "user", "content": "\ud800"}]}, INVALID, "messages[0].content"),
    ("chat", {"messages": [{"role": "user", "content": "<|mask|>"}]}, INVALID, "messages"),
    (
        "chat",
        {"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]},
        UNSUPPORTED,
        "messages[0].tool_calls",
    ),
    ("chat", {"max_tokens": 0}, INVALID, "max_tokens"),
    ("chat", {"max_tokens": "5"}, INVALID, "max_tokens"),
    ("chat", {"max_tokens": True}, INVALID, "max_tokens"),
    ("chat", {"max_tokens": 10**6}, TOO_LONG, "max_tokens"),
    ("chat", {"max_completion_tokens": 10**6}, TOO_LONG, "max_completion_tokens"),
    ("chat", {"temperature": 2.5}, INVALID, "temperature"),
    ("chat", {"top_p": 0}, INVALID, "top_p"),
    ("chat", {"seed": 2**63}, INVALID, "seed"),
    ("chat", {"seed": 10**400}, INVALID, "seed"),
    ("chat", {"stop": ["a", "b", "c", "d", "e"]}, INVALID, "stop"),
    ("chat", {"stop": [""]}, INVALID, "stop[0]"),
    ("chat", {"stop": [1]}, INVALID, "stop[0]"),
    ("chat", {"stream": "yes"}, INVALID, "stream"),
    ("chat", {"stream_options": {"include_usage": True}}, INVALID, "stream_options"),
    ("chat", {"stream": True, "stream_options": {"wild": 1}}, UNKNOWN, "stream_options.wild"),
    ("chat", {"n": 0}, INVALID, "n"),
    ("chat", {"n": 17}, INVALID, "n"),
    ("chat", {"n": True}, INVALID, "n"),
    ("infill", {"n": 2}, UNSUPPORTED, "n"),
    ("chat", {"logprobs": 3}, INVALID, "logprobs"),
    ("chat", {"top_logprobs": 3}, INVALID, "top_logprobs"),
    ("chat", {"logprobs": True, "top_logprobs": 21}, INVALID, "top_logprobs"),
    ("infill", {"logprobs": True}, UNSUPPORTED, "logprobs"),
    ("chat", {"tools": [{"type": "function"}]}, UNSUPPORTED, "tools"),
    ("chat", {"tool_choice": "auto"}, UNSUPPORTED, "tool_choice"),
    ("chat", {"functions": [{}]}, UNSUPPORTED, "functions"),
    ("chat", {"function_call": "auto"}, UNSUPPORTED, "function_call"),
    ("chat", {"response_format": {"type": "json_object"}}, UNSUPPORTED, "response_format.type"),
    (
        "chat",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
        UNSUPPORTED,
        "response_format.type",
    ),
    ("chat", {"response_format": "text"}, INVALID, "response_format"),
    ("chat", {"response_format": {}}, INVALID, "response_format.type"),
    ("completion", {"response_format": {"type": "json_object"}}, UNSUPPORTED, "response_format.type"),
    ("infill", {"tools": [{"type": "function"}]}, UNSUPPORTED, "tools"),
    ("chat", {"logit_bias": {"5": 1}}, UNSUPPORTED, "logit_bias"),
    ("chat", {"presence_penalty": 0.5}, UNSUPPORTED, "presence_penalty"),
    ("chat", {"frequency_penalty": -1}, UNSUPPORTED, "frequency_penalty"),
    ("chat", {"service_tier": "express"}, INVALID, "service_tier"),
    ("chat", {"prediction": {"type": "content"}}, INVALID, "prediction.content"),
    ("chat", {"prediction": {"type": "diff", "content": "a"}}, INVALID, "prediction.type"),
    ("chat", {"prediction": {"type": "content", "content": "a" * 600}}, INVALID, "prediction"),
    (
        "chat",
        {"prediction": {"type": "content", "content": "a"}, "diffusion": {"algorithm": "random"}},
        UNSUPPORTED,
        "prediction",
    ),
    ("completion", {"prediction": {"type": "content", "content": "a"}}, UNSUPPORTED, "prediction"),
    ("infill", {"prediction": {"type": "content", "content": "a"}}, UNSUPPORTED, "prediction"),
    ("chat", {"reasoning_effort": "extreme"}, INVALID, "reasoning_effort"),
    ("chat", {"modalities": ["audio"]}, UNSUPPORTED, "modalities"),
    ("chat", {"store": True}, UNSUPPORTED, "store"),
    ("chat", {"user": "x" * 513}, INVALID, "user"),
    ("chat", {"metadata": {str(i): "x" for i in range(17)}}, INVALID, "metadata"),
    ("chat", {"metadata": {"key": 7}}, INVALID, "metadata.key"),
    ("chat", {"diffusion": {"wild": 1}}, UNKNOWN, "diffusion.wild"),
    ("chat", {"diffusion": {"stream": "all"}}, INVALID, "diffusion.stream"),
    ("chat", {"diffusion": {"max_steps": 0}}, INVALID, "diffusion.max_steps"),
    ("chat", {"diffusion": {"confidence_threshold": 1.5}}, INVALID, "diffusion.confidence_threshold"),
    ("chat", {"diffusion": {"algorithm": "magic"}}, INVALID, "diffusion.algorithm"),
    ("chat", {"diffusion": {"schedule": "magic"}}, INVALID, "diffusion.schedule"),
    ("chat", {"diffusion": {"block_length": 10**6}}, INVALID, "diffusion.block_length"),
    ("chat", {"diffusing": True}, INVALID, "diffusing"),
    ("completion", {"prompt": None}, INVALID, "prompt"),
    ("completion", {"prompt": ["a", "b"]}, UNSUPPORTED, "prompt"),
    ("completion", {"prompt": [[1], [2]]}, UNSUPPORTED, "prompt"),
    ("completion", {"prompt": [10**9]}, INVALID, "prompt"),
    ("completion", {"prompt": "\udc00"}, INVALID, "prompt"),
    ("completion", {"suffix": "\udc00"}, INVALID, "suffix"),
    ("completion", {"logprobs": 6}, INVALID, "logprobs"),
    ("completion", {"logprobs": 1, "echo": True}, UNSUPPORTED, "logprobs"),
    ("completion", {"best_of": 2}, UNSUPPORTED, "best_of"),
    ("completion", {"best_of": 1, "n": 2}, UNSUPPORTED, "best_of"),
    ("infill", {"max_completion_tokens": 5}, UNSUPPORTED, "max_completion_tokens"),
    ("chat", {"user": "\ud800"}, INVALID, "user"),
    ("chat", {"metadata": {"a": "\ud800"}}, INVALID, "metadata.a"),
    ("chat", {"diffusion": {"\ud800": 1}}, INVALID, "diffusion"),
    ("chat", {"stop": "\ud800"}, INVALID, "stop[0]"),
    ("infill", {"template": "\ud800{{hole}}"}, INVALID, "template"),
    ("infill", {"template": "no marker"}, INVALID, "template"),
    ("infill", {"hole": ""}, INVALID, "hole"),
    ("infill", {"hole_tokens": 0}, INVALID, "hole_tokens"),
    ("infill", {"hole_tokens": "1"}, INVALID, "hole_tokens"),
    ("infill", {"hole_tokens": [1, 2]}, INVALID, "hole_tokens"),
    ("infill", {"hole_tokens": 10**12}, TOO_LONG, None),
    ("infill", {"stop": "x"}, UNSUPPORTED, "stop"),
    ("infill", {"max_tokens": 5}, UNSUPPORTED, "max_tokens"),
    ("infill", {"diffusion": {"block_length": 8}}, UNSUPPORTED, "diffusion.block_length"),
]


@pytest.mark.parametrize(("endpoint", "fields", "code", "parameter"), REFUSED_FIELDS)
async def test_a_field_is_refused_by_name(
    endpoint: str, fields: dict[str, Any], code: str, parameter: str | None
) -> None:
    async with client(gateway(saying("never"))) as http:
        content = json.dumps(BODIES[endpoint] | fields)
        response = await http.post(PATHS[endpoint], content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, parameter)
    assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_a_refusal_says_what_is_accepted() -> None:
    async with client(gateway(saying("never"))) as http:
        response = await http.post(PATHS["chat"], json=CHAT | {"store": True})
    assert response.json()["error"]["message"] == "store: not supported; only false is accepted"


@pytest.mark.parametrize("field", ["model", "messages"])
async def test_a_missing_field_is_named(field: str) -> None:
    body = {name: value for name, value in CHAT.items() if name != field}
    async with client(gateway(saying("never"))) as http:
        response = await http.post(PATHS["chat"], json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe\xfd",
        b'{"model": "\xc3\x28"}',
        b"[" * 200_000,
        b'{"model":' * 100_000,
        b'{"model": ' + b"9" * 5000 + b"}",
        b'{"model": "tiny", "temperature": NaN, "prompt": "hi"}',
        b'{"model": "tiny", "temperature": 1e999, "prompt": "hi"}',
    ],
)
async def test_a_body_that_is_not_an_object_of_json_is_a_bad_request(content: bytes) -> None:
    settings = GatewaySettings(max_body_bytes=1 << 21)
    async with client(gateway(saying("never"), settings=settings)) as http:
        response = await http.post(PATHS["completion"], content=content, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, INVALID), response.text


async def test_deep_values_in_ignored_fields_do_no_harm() -> None:
    deep = b'{"model": "tiny", "prompt": "hi", "wild": ' + b"[" * 900 + b"]" * 900 + b"}"
    async with client(gateway(saying("ok"))) as http:
        response = await http.post(PATHS["completion"], content=deep, headers={"content-type": "application/json"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/unknown", 404, "not_found"),
        ("POST", "/v1/unknown", 404, "not_found"),
        ("GET", "/unknown", 404, "not_found"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("DELETE", "/v1/completions", 405, "method_not_allowed"),
        ("GET", "/v1/models/huge", 404, "model_not_found"),
        ("GET", "/v1/requests/none", 404, "response_not_found"),
    ],
)
async def test_routes_and_objects_that_do_not_exist(method: str, path: str, status: int, code: str) -> None:
    async with client(gateway(saying("never"))) as http:
        response = await http.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_a_refused_method_says_which_ones_there_are() -> None:
    async with client(gateway(saying("never"))) as http:
        response = await http.get("/v1/infill")
    assert response.headers["allow"] == "POST"


async def test_an_unknown_model_is_not_found() -> None:
    async with client(gateway(saying("never"))) as http:
        response = await http.post(PATHS["chat"], json=CHAT | {"model": "huge"})
    assert response.status_code == 404
    assert (response.json()["error"]["code"], response.json()["error"]["param"]) == ("model_not_found", "model")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic key-of-acme"}])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/requests/x", "/v1/unknown"])
async def test_strangers_learn_nothing(headers: dict[str, str], path: str) -> None:
    app = gateway(saying("never"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        response = await http.get(path, headers=headers)
        unread = await http.post(PATHS["chat"], content=b"{", headers=headers | {"content-type": "text/plain"})
    for answer in (response, unread):
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
async def test_only_json_is_taken(content_type: str) -> None:
    async with client(gateway(saying("never"))) as http:
        response = await http.post(PATHS["chat"], content=b"{}", headers={"content-type": content_type})
    assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("encoding", "status"), [("gzip", 415), ("br", 415), ("identity, gzip", 415), ("identity", 200)]
)
async def test_nothing_is_decompressed(encoding: str, status: int) -> None:
    async with client(gateway(saying("ok"))) as http:
        response = await http.post(PATHS["chat"], json=CHAT, headers={"content-encoding": encoding})
    assert response.status_code == status


async def chunked(size: int) -> AsyncIterator[bytes]:
    for _ in range(size):
        yield b" " * 100


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_not_read_to_its_end(declared: bool) -> None:
    app = gateway(saying("ok"), settings=GatewaySettings(max_body_bytes=1000))
    headers = {"content-type": "application/json"}
    async with client(app) as http:
        content = b" " * 1100 if declared else chunked(11)
        response = await http.post(PATHS["chat"], content=content, headers=headers)
        fitting = await http.post(PATHS["chat"], content=json.dumps(CHAT).ljust(1000).encode(), headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")
    assert fitting.status_code == 200


async def test_a_body_that_does_not_arrive_in_time_is_given_up() -> None:
    sent: list[Message] = []

    async def never() -> Message:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    async def unreachable(scope: Scope, receive: Any, send: Any) -> None:
        raise AssertionError

    app = Edge(BodyGate(unreachable, max_bytes=10, timeout_seconds=0.0), Witness(None, lambda: NOW, entropy))
    await app({"type": "http", "method": "POST", "path": "/", "headers": []}, never, send)
    assert sent[0]["status"] == 408
    assert (b"x-should-retry", b"false") in sent[0]["headers"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("error", [QueueFull(), Overloaded(), NoReplica(), InternalError()])
async def test_a_refusal_before_admission_has_its_own_status(error: ServingError, stream: bool) -> None:
    async with client(gateway(lambda request: [error])) as http:
        response = await http.post(PATHS["chat"], json=CHAT | {"stream": stream})
    jitter = entropy(1)[0] / 256
    assert response.status_code == error.status
    assert response.json() == error.envelope(response.headers["x-request-id"])
    assert error.headers(jitter).items() <= dict(response.headers).items()


async def test_a_defect_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    async with client(gateway(lambda request: [ValueError("the secret")])) as http:
        response = await http.post(PATHS["chat"], json=CHAT, headers={"x-request-id": "mine"})
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in response.text
    assert "asked for as mine, failed" in caplog.text
    assert "the secret" in caplog.text


async def test_a_replica_that_goes_silent_is_told() -> None:
    async with client(gateway(lambda request: [()])) as http:
        response = await http.post(PATHS["chat"], json=CHAT)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "replicas_lost")


class DeadStore(MemoryStore):
    async def create(
        self, record: RequestRecord, *, plan: bytes | None = None, lease_until: float | None = None
    ) -> None:
        raise StateUnavailable("the store is down")

    async def get(self, key: RequestKey) -> RequestRecord | None:
        raise StateUnavailable("the store is down")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_dead_store_costs_the_record_and_not_the_answer(stream: bool) -> None:
    async with client(gateway(saying("fine"), DeadStore())) as http:
        response = await http.post(PATHS["chat"], json=CHAT | {"stream": stream})
        record = await http.get("/v1/requests/any")
    assert (response.status_code, response.headers["x-dllm-degraded"]) == (200, "state")
    assert "fine" in response.text
    assert (record.status_code, record.json()["error"]["code"]) == (503, "unavailable")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(DeadlineExceeded(), "failed", "deadline_exceeded"), (ValueError(), "failed", "internal_error")],
)
async def test_the_record_says_how_a_request_failed(error: Exception, status: str, code: str) -> None:
    store = MemoryStore()
    async with client(gateway(lambda request: [(), error], store)) as http:
        await http.post(PATHS["completion"], json=COMPLETION)
        record = await http.get("/v1/requests/cmpl-01HF7YAT000W3GE1R70W3GE1R7", headers=AUTHORIZED)
    assert (record.json()["status"], record.json()["error_code"]) == (status, code)
