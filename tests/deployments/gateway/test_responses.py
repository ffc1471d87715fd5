from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from deployments.errors import InternalError
from deployments.state.memory import MemoryStore
from deployments.state.store import RequestKey
from dllm_worker.request import Draft, Request
from tests.deployments.gateway.durable import durable_gateway, frames, post, serving
from tests.deployments.gateway.scripted import (
    MASK,
    OTHER_KEY,
    TENANT,
    ScriptedPool,
    Step,
    byte_text,
    client,
    commits,
    finish,
    saying,
)

ASKED: dict[str, Any] = {"model": "tiny", "input": "hi"}
PATH = "/v1/responses"
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
PARTS = [{"type": "input_text", "text": "h"}, {"type": "input_text", "text": "i"}]
CHAT: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
USAGE = {
    "input_tokens": 8,
    "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
    "output_tokens": 6,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 14,
    "diffusion": {
        "denoising_steps": 4,
        "forward_passes": 6,
        "prefill_forwards": 1,
        "commit_forwards": 1,
        "position_forwards": 96,
        "canvases": 1,
        "tokens_per_forward": 1.0,
    },
}


def events(received: list[bytes]) -> list[dict[str, Any]]:
    """The events of a stream, each of which its frame names and numbers, and the SDK knows."""
    told = []
    for frame in received:
        *head, data = frame.decode().strip().split("\n")
        event = json.loads(data.removeprefix("data: "))
        names = [f"event: {event['type']}"]
        if event["type"] != "response.dllm.canvas":
            EVENT.validate_python(event, strict=True)
            names = [f"id: {event['sequence_number']}", *names]
        assert head == names
        told.append(event)
    return told


def names(received: list[bytes]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events(received)]


def stopped_at(gate: asyncio.Event, *, admitted: bool = True) -> ScriptedPool:
    """A replica that says ``one``, waits, and says ``two``."""

    def script(request: Request) -> list[Step]:
        one, two = commits(request, [byte_text().encode("one"), byte_text().encode("two")])
        return [(), one, gate, two, finish(request, 6)] if admitted else [gate, (), one, two, finish(request, 6)]

    return ScriptedPool(script)


async def test_a_response_is_a_text_and_the_work_behind_it() -> None:
    body = ASKED | {"instructions": "be brief", "max_output_tokens": 9, "metadata": {"job": "7"}, "temperature": 0.5}
    async with client(durable_gateway(saying("Hello", "!"), MemoryStore())) as http:
        answer = (await post(http, PATH, body)).json()
        again = (await http.get(f"{PATH}/{answer['id']}")).json()
    Response.model_validate(answer, strict=True)
    assert again == answer
    identity = answer["id"]
    assert identity.startswith("resp-")
    assert answer == {
        "id": identity,
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": "be brief",
        "max_output_tokens": 9,
        "metadata": {"job": "7"},
        "model": "tiny",
        "output": [
            {
                "id": identity.replace("resp", "msg"),
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hello!", "annotations": [], "logprobs": []}],
            }
        ],
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "system_fingerprint": "rev-1",
        "temperature": 0.5,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE
        | {"input_tokens": answer["usage"]["input_tokens"], "total_tokens": answer["usage"]["total_tokens"]},
    }


@pytest.mark.parametrize(
    "asked",
    [
        [{"role": "user", "content": "hi"}],
        [{"type": "message", "role": "user", "content": PARTS}],
    ],
)
async def test_an_input_is_a_text_or_a_list_of_messages(asked: Any) -> None:
    pool = ScriptedPool(saying("ok"))
    async with client(durable_gateway(pool, MemoryStore())) as http:
        await post(http, PATH, ASKED | {"input": asked})
        await post(http, PATH, ASKED)
        chat = {"model": "tiny", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]}
        await post(http, PATH, ASKED | {"instructions": "s"})
        await post(http, "/v1/chat/completions", chat)
    assert pool.requests[0].prompt == pool.requests[1].prompt
    assert pool.requests[2].prompt == pool.requests[3].prompt


async def test_the_events_of_a_response() -> None:
    async with client(durable_gateway(saying("Hello", "!"), MemoryStore())) as http:
        received = frames(await post(http, PATH, ASKED | {"stream": True}))
        whole = (await http.get(f"{PATH}/{events(received)[0]['response']['id']}")).json()
    assert names(received) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    told = events(received)
    assert [event["sequence_number"] for event in told] == list(range(10))
    assert (
        "".join(event["delta"] for event in told if event["type"].endswith("text.delta")) == told[6]["text"] == "Hello!"
    )
    assert (told[0]["response"]["status"], told[0]["response"]["output"]) == ("in_progress", [])
    assert told[-1]["response"] == whole


async def test_the_bytes_of_an_event() -> None:
    async with client(durable_gateway(saying("twö"), MemoryStore())) as http:
        received = frames(await post(http, PATH, ASKED | {"stream": True}))
    item = events(received)[0]["response"]["id"].replace("resp", "msg")
    assert received[4].decode() == (
        'id: 4\nevent: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":4,'
        f'"item_id":"{item}","output_index":0,"content_index":0,"delta":"tw\\u00f6","logprobs":[]}}\n\n'
    )


async def test_an_answer_without_text_has_an_item_all_the_same() -> None:
    async with client(durable_gateway(saying(), MemoryStore())) as http:
        received = frames(await post(http, PATH, ASKED | {"stream": True}))
    assert "output_text.delta" not in names(received)
    assert events(received)[-1]["response"]["output"][0]["content"][0]["text"] == ""


@pytest.mark.parametrize(("reason", "extra"), [("length", {}), ("deadline", {"diffusion": {"finish": "deadline"}})])
async def test_an_answer_that_was_cut_is_incomplete(reason: Any, extra: dict[str, Any]) -> None:
    async with client(durable_gateway(saying("Hello", reason=reason), MemoryStore())) as http:
        received = frames(await post(http, PATH, ASKED | {"stream": True}))
    last = events(received)[-1]
    response = last["response"]
    assert last["type"] == "response.incomplete"
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert response["output"][0]["status"] == "incomplete"
    assert {name: response[name] for name in response if name == "diffusion"} == extra


async def test_a_response_in_the_background_is_queued_at_once_and_read_later() -> None:
    gate, store = asyncio.Event(), MemoryStore()
    async with client(durable_gateway(stopped_at(gate, admitted=False), store)) as http:
        queued = (await post(http, PATH, ASKED | {"background": True})).json()
        Response.model_validate(queued, strict=True)
        url = f"{PATH}/{queued['id']}"
        waiting = (await http.get(url)).json()
        gate.set()
        told = events(frames(await http.get(url, params={"stream": True})))
        whole = (await http.get(url)).json()
    assert (queued["status"], queued["output"], waiting) == ("queued", [], queued)
    assert [event["type"].removeprefix("response.") for event in told[:3]] == ["created", "queued", "in_progress"]
    assert told[-1]["response"] == whole
    assert (whole["status"], whole["output"][0]["content"][0]["text"]) == ("completed", "onetwo")


async def test_a_response_in_progress_shows_what_is_committed() -> None:
    gate, store = asyncio.Event(), MemoryStore()
    pool = stopped_at(gate)
    async with client(durable_gateway(pool, store)) as http:
        queued = (await post(http, PATH, ASKED | {"background": True})).json()
        assert await store.entries(RequestKey(TENANT, queued["id"]), wait_seconds=9.0)
        answer = (await http.get(f"{PATH}/{queued['id']}")).json()
        gate.set()
        await http.get(f"{PATH}/{queued['id']}", params={"stream": True})
    assert (answer["status"], answer["output"][0]["status"]) == ("in_progress", "in_progress")
    assert answer["output"][0]["content"][0]["text"] == "one"


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_response_is_cancelled_from_any_gateway(elsewhere: bool) -> None:
    store, pool = MemoryStore(), stopped_at(asyncio.Event())
    apps = durable_gateway(pool, store), durable_gateway(saying("never"), store)
    async with serving(*apps), client(apps[0]) as http, client(apps[elsewhere]) as other:
        queued = (await post(http, PATH, ASKED | {"background": True})).json()
        url = f"{PATH}/{queued['id']}"
        assert await store.entries(RequestKey(TENANT, queued["id"]), wait_seconds=9.0)
        cancelled = (await other.post(f"{url}/cancel")).json()
        again = (await http.post(f"{url}/cancel")).json()
        told = events(frames(await other.get(url, params={"stream": "true"})))
    Response.model_validate(cancelled, strict=True)
    assert (cancelled["status"], cancelled["error"], again) == ("cancelled", None, cancelled)
    assert cancelled["output"][0]["content"][0]["text"] == "one"
    assert (told[-1]["type"], told[-1]["response"]) == ("response.incomplete", cancelled)
    assert pool.aborted == [queued["id"]]


async def test_only_a_response_in_the_background_can_be_cancelled() -> None:
    async with client(durable_gateway(saying("ok"), MemoryStore())) as http:
        answer = (await post(http, PATH, ASKED)).json()
        refused = await http.post(f"{PATH}/{answer['id']}/cancel")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request_error")


async def test_a_failure_ends_the_stream_and_is_kept() -> None:
    store = MemoryStore()

    def script(request: Request) -> list[Step]:
        return [(), *commits(request, [byte_text().encode("one")]), InternalError("It broke.")]

    async with client(durable_gateway(script, store)) as http:
        told = events(frames(await post(http, PATH, ASKED | {"stream": True})))
        kept = (await http.get(f"{PATH}/{told[0]['response']['id']}")).json()
    assert told[-1]["type"] == "response.failed"
    assert told[-1]["response"] == kept
    assert kept["status"] == "failed"
    assert kept["error"] == {"code": "server_error", "message": "It broke.", "type": "internal_error", "param": None}
    assert kept["output"][0]["content"][0]["text"] == "one"


@pytest.mark.parametrize("running", [False, True])
async def test_a_deleted_response_is_gone(running: bool) -> None:
    store = MemoryStore()
    pool = stopped_at(asyncio.Event()) if running else ScriptedPool(saying("ok"))
    async with client(durable_gateway(pool, store)) as http:
        made = (await post(http, PATH, ASKED | {"background": running})).json()
        deleted = await http.delete(f"{PATH}/{made['id']}")
        again = await http.delete(f"{PATH}/{made['id']}")
        missing = await http.get(f"{PATH}/{made['id']}")
    assert (deleted.status_code, deleted.json()) == (200, {"id": made["id"], "object": "response", "deleted": True})
    assert again.status_code == missing.status_code == 404
    assert pool.aborted == ([made["id"]] if running else [])
    assert await store.entries(RequestKey(TENANT, made["id"])) == ()


async def test_what_is_not_stored_cannot_be_read() -> None:
    async with client(durable_gateway(saying("ok"), MemoryStore())) as http:
        made = (await post(http, PATH, ASKED | {"store": False, "instructions": "secret"})).json()
        missing = await http.get(f"{PATH}/{made['id']}")
        record = await http.get(f"/v1/requests/{made['id']}")
        refused = await http.post(PATH, json=ASKED | {"store": False, "background": True})
    assert made["store"] is False
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "response_not_found")
    assert "secret" not in record.text
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "store")


async def test_the_canvas_is_shown_to_those_who_ask_and_does_not_count() -> None:
    def script(request: Request) -> list[Step]:
        a, b = byte_text().encode("ab")
        drafts: list[Step] = [(Draft(request.id, 0, 1, 0, (MASK, b), 1),)] if request.drafts else []
        return [(), *drafts, *commits(request, [[a, b]]), finish(request, 2)]

    body = ASKED | {"stream": True}
    async with client(durable_gateway(script, MemoryStore())) as http:
        plain = frames(await post(http, PATH, body))
        watched = frames(await post(http, PATH, body | {"diffusion": {"stream": "canvas"}}))
    views = [event for event in events(watched) if event["type"] == "response.dllm.canvas"]
    assert [view["diffusion"]["seq"] for view in views] == [1]
    assert "sequence_number" not in views[0]
    assert [name for name in names(watched) if name != "dllm.canvas"] == names(plain)


async def test_what_is_ignored_is_listed() -> None:
    body = ASKED | {"wild": 1, "input": [{"role": "user", "content": "hi", "id": "msg-1"}]}
    async with client(durable_gateway(saying("ok"), MemoryStore())) as http:
        response = await post(http, PATH, body)
    assert response.headers["x-dllm-ignored-params"] == "input[0].id,wild"


async def test_another_tenant_finds_nothing_on_any_route() -> None:
    app = durable_gateway(saying("ok"), MemoryStore())
    async with client(app) as http, client(app, OTHER_KEY) as stranger:
        made = (await post(http, PATH, ASKED | {"background": True})).json()
        chat = (await post(http, "/v1/chat/completions", CHAT)).json()
        await http.get(f"{PATH}/{made['id']}", params={"stream": "true"})
        routes = {
            (method.upper(), path)
            for path, methods in (await http.get("/openapi.json")).json()["paths"].items()
            for method in methods
            if "_id}" in path and "{model_id}" not in path
        }
        assert len(routes) == 6
        for method, path in sorted(routes, reverse=True):
            for identity in (made["id"], chat["id"], "resp-nothing"):
                url = path.replace("{answer_id}", identity).replace("{response_id}", identity)
                response = await stranger.request(method, url)
                assert (response.status_code, response.json()["error"]["code"]) == (404, "response_not_found"), url
        assert (await http.get(f"{PATH}/{made['id']}")).status_code == 200
        assert (await http.get(f"{PATH}/{chat['id']}")).status_code == 404
