"""What requests ask for beside their text, over the whole application."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from deployments.errors import InternalError
from deployments.gateway.choices import choice_seed
from deployments.gateway.settings import GatewaySettings
from deployments.tenancy.declared import TenantConfig
from dllm_worker.request import Request
from tests.deployments.gateway.asgi import Connection
from tests.deployments.gateway.scripted import (
    TENANT,
    ScriptedPool,
    Step,
    app_over,
    byte_text,
    client,
    commits,
    gateway,
    model,
    saying,
    tenancy,
)
from tests.deployments.gateway.test_answers import CHAT, post
from tests.deployments.gateway.test_stream import chunks, watching

PATH = "/v1/chat/completions"
USAGE = {"stream": True, "stream_options": {"include_usage": True}}


def by_seed(request: Request) -> list[Step]:
    """A replica whose answer is told by the seed."""
    return saying(f"seed {request.sampling.seed}", ".")(request)


async def test_each_choice_is_an_answer_of_its_own() -> None:
    pool = ScriptedPool(by_seed)
    answer = (await post(PATH, CHAT | {"n": 3, "seed": 5}, pool)).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    texts = [choice["message"]["content"] for choice in answer["choices"]]
    assert texts == [f"seed {choice_seed(5, choice)}." for choice in range(3)]
    assert [request.id for request in pool.requests] == [answer["id"], f"{answer['id']}.1", f"{answer['id']}.2"]
    ChatCompletion.model_validate(answer, strict=True)


async def test_choices_are_the_same_again_and_the_first_is_the_answer_without_n() -> None:
    first, again = [(await post(PATH, CHAT | {"n": 2, "seed": 5}, by_seed)).json()["choices"] for _ in range(2)]
    alone = (await post(PATH, CHAT | {"seed": 5}, by_seed)).json()["choices"]
    assert first == again
    assert first[:1] == alone


async def test_the_prompt_of_many_choices_counts_once_and_their_work_together() -> None:
    alone = (await post(PATH, CHAT, saying("abc"))).json()["usage"]
    many = (await post(PATH, CHAT | {"n": 3}, saying("abc"))).json()["usage"]
    assert (many["prompt_tokens"], many["completion_tokens"]) == (alone["prompt_tokens"], 9)
    assert many["total_tokens"] == many["prompt_tokens"] + 9
    assert many["prompt_tokens_details"] == alone["prompt_tokens_details"]
    counts = {name: 3 * count for name, count in alone["diffusion"].items() if name != "tokens_per_forward"}
    assert many["diffusion"] == counts | {"tokens_per_forward": alone["diffusion"]["tokens_per_forward"]}


@pytest.mark.parametrize("path", [PATH, "/v1/completions"])
async def test_the_streams_of_the_choices_add_up_to_them(path: str) -> None:
    body = (CHAT if path == PATH else {"model": "tiny", "prompt": "hi"}) | {"n": 3, "seed": 5}
    whole = (await post(path, body, by_seed)).json()
    received = chunks(await post(path, body | USAGE, by_seed))
    texts, reasons = [""] * 3, [""] * 3
    for chunk in received[:-1]:
        (choice,) = chunk["choices"]
        assert not reasons[choice["index"]]
        texts[choice["index"]] += choice["delta"].get("content", "") if path == PATH else choice["text"]
        reasons[choice["index"]] = choice["finish_reason"] or ""
    kept = [choice["message"]["content"] if path == PATH else choice["text"] for choice in whole["choices"]]
    assert (texts, reasons) == (kept, ["stop"] * 3)
    assert (received[-1]["choices"], received[-1]["usage"]) == ([], whole["usage"])
    for chunk in received if path == PATH else received[-1:]:
        (ChatCompletionChunk if path == PATH else Completion).model_validate(chunk, strict=True)


async def test_each_choice_of_a_chat_begins_with_its_role() -> None:
    received = chunks(await post(PATH, CHAT | {"n": 2, "stream": True}, by_seed))
    opening = [chunk["choices"][0] for chunk in received[:2]]
    assert [(choice["index"], choice["delta"]) for choice in opening] == [
        (0, {"role": "assistant"}),
        (1, {"role": "assistant"}),
    ]


async def test_the_canvas_of_each_choice_is_shown_as_its_own() -> None:
    body = CHAT | {"n": 2, "stream": True, "diffusion": {"stream": "canvas"}}
    views = [chunk for chunk in chunks(await post(PATH, body, watching)) if "diffusion" in chunk]
    assert {chunk["choices"][0]["index"] for chunk in views} == {0, 1}
    assert [chunk["diffusion"]["seq"] for chunk in views] == list(range(1, len(views) + 1))


async def test_a_choice_that_fails_fails_the_request_and_ends_the_others() -> None:
    def script(request: Request) -> list[Step]:
        return [(), InternalError("gone")] if request.id.endswith(".1") else [(), asyncio.Event()]

    pool = ScriptedPool(script)
    async with client(gateway(pool)) as http:
        response = await http.post(PATH, json=CHAT | {"n": 3})
    assert response.status_code == 500, response.text
    assert sorted(pool.aborted) == sorted({request.id for request in pool.requests})


async def test_a_client_that_leaves_ends_all_choices() -> None:
    pool = ScriptedPool(lambda request: [(), *commits(request, [[70]]), asyncio.Event()])
    connection = Connection(gateway(pool), PATH, CHAT | {"n": 3, "stream": True})
    serving = asyncio.ensure_future(connection.run())
    for _ in range(3):
        await connection.parts.get()
    connection.leave()
    await serving
    assert sorted(pool.aborted) == sorted(request.id for request in pool.requests)
    assert len(pool.aborted) == 3


@pytest.mark.parametrize(
    ("fields", "headers"),
    [({"stream": True, "store_stream": True}, {}), ({}, {"idempotency-key": "once"})],
)
async def test_only_one_answer_can_be_kept(fields: dict[str, Any], headers: dict[str, str]) -> None:
    async with client(gateway(saying("never"))) as http:
        response = await http.post(PATH, json=CHAT | {"n": 2, **fields}, headers=headers)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "n"), response.text


async def test_best_of_is_n() -> None:
    body = {"model": "tiny", "prompt": "hi", "n": 2, "best_of": 2}
    assert len((await post("/v1/completions", body, by_seed)).json()["choices"]) == 2


@pytest.mark.parametrize("prompt", ["hé\n", [71, 72]])
async def test_an_echo_stands_before_the_answer(prompt: Any) -> None:
    body = {"model": "tiny", "prompt": prompt, "n": 2}
    plain = (await post("/v1/completions", body, saying("on", "e"))).json()
    echoed = (await post("/v1/completions", body | {"echo": True}, saying("on", "e"))).json()
    streamed = chunks(await post("/v1/completions", body | {"echo": True, "stream": True}, saying("on", "e")))
    text = echoed["choices"][1]["text"]
    assert text.endswith("one")
    assert len(text) == len(prompt) + 3
    assert "".join(chunk["choices"][0]["text"] for chunk in streamed if chunk["choices"][0]["index"] == 1) == text
    assert echoed["usage"] == plain["usage"]


TIERS: list[tuple[str | None, str, int]] = [
    (None, "default", 0),
    ("auto", "default", 0),
    ("default", "default", 0),
    ("flex", "flex", -1),
    ("priority", "priority", 0),
]


@pytest.mark.parametrize(("tier", "told", "order"), TIERS)
@pytest.mark.parametrize("path", [PATH, "/v1/completions", "/v1/infill", "/v1/responses"])
async def test_the_tier_chooses_the_band_and_is_told(path: str, tier: str | None, told: str, order: int) -> None:
    asked: dict[str, dict[str, Any]] = {
        PATH: {"messages": [{"role": "user", "content": "hi"}]},
        "/v1/completions": {"prompt": "hi"},
        "/v1/infill": {"template": "{{hole}}"},
        "/v1/responses": {"input": "hi"},
    }
    body = {"model": "tiny", "service_tier": tier, **asked[path]}
    declared = tenancy(TenantConfig(name=TENANT, bands=["interactive", "default", "flex"]))
    pool = ScriptedPool(saying("one"))
    async with client(app_over({"tiny": model(pool)}, declared=declared)) as http:
        assert (await http.post(path, json=body)).json()["service_tier"] == told
        streamed = await http.post(path, json=body | {"stream": True})
        await http.post(path, json=body | {"service_tier": "default"})
    assert f'"service_tier":"{told}"' in streamed.text
    priorities = [request.priority for request in pool.requests]
    assert (priorities[0] > priorities[2]) - (priorities[0] < priorities[2]) == order


async def test_a_band_that_the_tenant_does_not_have_is_denied() -> None:
    async with client(gateway(saying("never"))) as http:
        response = await http.post(PATH, json=CHAT | {"service_tier": "priority"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (403, "permission_denied", "service_tier")


@pytest.mark.parametrize(
    ("always", "header", "status"),
    [(False, None, 200), (False, "true", 400), (True, None, 400), (True, "false", 200), (False, "1", 400)],
)
async def test_unknown_parameters_are_refused_where_that_is_wanted(
    always: bool, header: str | None, status: int
) -> None:
    settings = GatewaySettings(refuse_unknown_parameters=always)
    headers = {} if header is None else {"x-dllm-strict": header}
    body = CHAT | {"messages": [{"role": "user", "content": "hi", "name": "Ada"}]}
    async with client(gateway(saying("ok"), settings=settings)) as http:
        response = await http.post(PATH, json=body, headers=headers)
    assert response.status_code == status
    if status == 200:
        assert response.headers["x-dllm-ignored-params"] == "messages[0].name"
    elif header != "1":
        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("unknown_parameter", "messages[0].name")


async def test_a_tool_has_its_turn() -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "tool", "content": "noon", "tool_call_id": "call_1"}]
    pool = ScriptedPool(saying("ok"))
    response = await post(PATH, {"model": "tiny", "messages": turns}, pool)
    assert "x-dllm-ignored-params" not in response.headers
    assert byte_text().decode(pool.requests[0].prompt) == "user:hi\ntool:noon\n"
