from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk

from deployments.errors import InternalError
from deployments.gateway.assembler import Done, Output
from deployments.gateway.canvas import MASKED, CanvasFrame
from deployments.gateway.openai import ChatDialect
from deployments.gateway.stream import ChunkWriter
from deployments.gateway.writer import Delta
from dllm_worker.request import Draft, Request
from tests.deployments.gateway.scripted import (
    MASK,
    WORK,
    Step,
    byte_text,
    client,
    commits,
    filling,
    finish,
    gateway,
    saying,
)

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": True}
HEAD = (
    '"id":"chatcmpl-01HF7YAT000W3GE1R70W3GE1R7","object":"chat.completion.chunk","created":1700000000,"model":"tiny",'
    '"system_fingerprint":"rev-1","service_tier":"default",'
)
GOLDEN = (
    'id: 1\ndata: {HEAD"choices":[{"index":0,"delta":{"role":"assistant"},"logprobs":null,"finish_reason":null}],'
    '"usage":null}\n\n'
    'id: 2\ndata: {HEAD"choices":[{"index":0,"delta":{"content":"one"},"logprobs":null,"finish_reason":null}],'
    '"usage":null}\n\n'
    'id: 3\ndata: {HEAD"choices":[{"index":0,"delta":{"content":" tw\\u00f6"},"logprobs":null,"finish_reason":null}],'
    '"usage":null}\n\n'
    'id: 4\ndata: {HEAD"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null}\n\n'
    'id: 5\ndata: {HEAD"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":8,"total_tokens":16,'
    '"prompt_tokens_details":{"cached_tokens":2},'
    '"diffusion":{"denoising_steps":4,"forward_passes":6,"prefill_forwards":1,"commit_forwards":1,'
    '"position_forwards":96,"canvases":1,"tokens_per_forward":1.3333}}}\n\n'
    "data: [DONE]\n\n"
).replace("HEAD", HEAD)


def chunks(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_the_bytes_of_a_stream() -> None:
    body = CHAT | {"stream_options": {"include_usage": True}}
    async with client(gateway(saying("one", " twö", reason="length"))) as http:
        response = await http.post("/v1/chat/completions", json=body)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.text == GOLDEN


def watching(request: Request) -> list[Step]:
    """Two canvases of two positions, each drafted twice and then committed."""
    a, b = byte_text().encode("ab")
    steps: list[Step] = [()]
    for canvas, commit in enumerate(commits(request, [[a, b], [b, a]])):
        final = commit[0].tokens
        drafts = [(MASK, final[1]), final]
        for step, tokens in enumerate(drafts, 1):
            if request.drafts:
                steps.append((Draft(request.id, canvas, step, 2 * canvas, tokens, tokens.count(MASK)),))
        steps.append(commit)
    return [*steps, finish(request, 4)]


async def stream(path: str, body: dict[str, Any], script: Any = watching, **facts: Any) -> list[dict[str, Any]]:
    async with client(gateway(script, **facts)) as http:
        response = await http.post(path, json=body | {"stream": True})
    assert response.status_code == 200
    return chunks(response)


@pytest.mark.parametrize("form", ["patch", "snapshot"])
async def test_who_ignores_the_canvas_sees_the_plain_stream(form: str) -> None:
    plain = await stream("/v1/chat/completions", CHAT)
    watched = await stream("/v1/chat/completions", CHAT | {"diffusion": {"stream": "canvas", "canvas_format": form}})
    assert [chunk for chunk in watched if "diffusion" not in chunk] == plain
    assert all(chunk["choices"][0]["delta"] == {} for chunk in watched if "diffusion" in chunk)


async def test_patches_lead_to_the_committed_text() -> None:
    watched = await stream("/v1/chat/completions", CHAT | {"diffusion": {"stream": "canvas"}})
    board: dict[int, str | None] = {}
    text, last = "", 0
    for chunk in watched:
        text += chunk["choices"][0]["delta"].get("content", "")
        if frame := chunk.get("diffusion"):
            assert frame["seq"] > last
            assert frame["committed_chars"] == len(text)
            last = frame["seq"]
            board |= {edit["pos"]: edit["text"] for edit in frame["edits"]}
    assert "".join(board[position] or MASKED for position in range(4)) == text == "abba"


async def test_only_frames_of_committed_text_are_numbered() -> None:
    async with client(gateway(watching)) as http:
        plain = await http.post("/v1/chat/completions", json=CHAT)
        watched = await http.post("/v1/chat/completions", json=CHAT | {"diffusing": True})
    frames = watched.text.split("\n\n")
    views = [json.loads(frame.removeprefix("data: "))["diffusion"] for frame in frames if '"diffusion":' in frame]
    assert [view["seq"] for view in views] == list(range(1, len(views) + 1))
    assert all(len(view["text"]) == 2 for view in views)
    assert [frame for frame in frames if '"diffusion":' not in frame] == plain.text.split("\n\n")


OUTPUTS: list[Output] = [
    Delta("one", 0),
    CanvasFrame(0, 1, 4, 1, 0, 2, 3, text="ab"),
    Delta("two", 0),
    Done("stop", 8, 6, WORK),
]


DIALECT = ChatDialect("c", 1, "tiny", "rev-1", "default")


def written(after: int | None, outputs: Sequence[Output] = OUTPUTS, *, cut: int = 0, usage: bool = True) -> bytes:
    writer = ChunkWriter(DIALECT, include_usage=usage, after=after)
    parts = [outputs[:cut], outputs[cut:]] if cut else [outputs]
    return writer.begin() + b"".join(writer.write(part) for part in parts) + writer.end()


@given(st.integers(0, 4), st.booleans())
def test_how_outputs_are_grouped_changes_no_byte(cut: int, usage: bool) -> None:
    assert written(None, cut=cut, usage=usage) == written(None, usage=usage)


@pytest.mark.parametrize("number", range(7))
def test_a_writer_leaves_out_what_was_read(number: int) -> None:
    whole = [frame + b"\n\n" for frame in written(None).split(b"\n\n")[:-1]]
    rest = [frame for frame in whole if not frame.startswith(tuple(b"id: %d\n" % seen for seen in range(number + 1)))]
    assert written(number) == b"".join(rest)
    assert len(rest) == 2 + max(0, 5 - number)


def test_the_bytes_of_an_answer_that_its_deadline_ended() -> None:
    frame = written(1, [Done("deadline", 8, 6, WORK)], usage=False)
    assert frame.decode() == (
        'id: 2\ndata: {"id":"c","object":"chat.completion.chunk","created":1,"model":"tiny",'
        '"system_fingerprint":"rev-1","service_tier":"default",'
        '"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}],"usage":null,'
        '"diffusion":{"finish":"deadline"}}\n\ndata: [DONE]\n\n'
    )


async def test_an_answer_that_its_deadline_ended_says_so() -> None:
    async with client(gateway(saying("one", reason="deadline"))) as http:
        answer = (await http.post("/v1/chat/completions", json=CHAT | {"stream": False})).json()
    assert (answer["choices"][0]["finish_reason"], answer["diffusion"]) == ("length", {"finish": "deadline"})


async def test_each_chunk_is_one_the_sdk_knows() -> None:
    body = CHAT | {"diffusion": {"stream": "canvas"}, "stream_options": {"include_usage": True}}
    for chunk in await stream("/v1/chat/completions", body):
        ChatCompletionChunk.model_validate(chunk, strict=False)
        assert {"id", "object", "created", "model", "system_fingerprint", "choices", "usage"} <= chunk.keys()
    *_, closing = await stream("/v1/completions", {"model": "tiny", "prompt": "hi"})
    Completion.model_validate(closing)


async def test_completion_chunks_add_up_to_the_answer() -> None:
    received = await stream("/v1/completions", {"model": "tiny", "prompt": "hi"}, saying("on", "e"))
    assert "".join(chunk["choices"][0]["text"] for chunk in received) == "one"
    assert [chunk["choices"][0]["finish_reason"] for chunk in received] == [None, None, None, "stop"]


async def test_infill_chunks_add_up_to_the_text_and_to_each_hole() -> None:
    body = {"model": "tiny", "template": "f({{hole}}, {{hole}})", "hole_tokens": 2}
    body["stream_options"] = {"include_usage": True}
    received = await stream("/v1/infill", body, filling("ab", "c"))
    assert {chunk["object"] for chunk in received} == {"infill.chunk"}
    assert "".join(chunk["delta"] for chunk in received) == "f(ab, c)"
    for index, text in enumerate(["ab", "c"]):
        assert "".join(chunk["delta"] for chunk in received if chunk["hole"] == index) == text
    assert [chunk["finish_reason"] for chunk in received[-2:]] == ["stop", None]
    assert received[-1]["usage"]["completion_tokens"] == 3


async def test_a_failure_after_the_first_byte_is_told_in_the_stream() -> None:
    def script(request: Request) -> list[Step]:
        return [(), *commits(request, [[70]]), InternalError("It is gone.")]

    async with client(gateway(script)) as http:
        response = await http.post("/v1/chat/completions", json=CHAT, headers={"x-request-id": "mine"})
    *_, error, end, rest = response.text.split("\n\n")
    assert json.loads(error.removeprefix("data: ")) == {
        "error": {"message": "It is gone.", "type": "server_error", "param": None, "code": "internal_error"},
        "request_id": "mine",
    }
    assert (end, rest) == ("data: [DONE]", "")


async def test_a_defect_after_the_first_byte_shows_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    async with client(gateway(lambda request: [(), ValueError("the secret")])) as http:
        response = await http.post("/v1/chat/completions", json=CHAT)
    assert "secret" not in response.text
    assert '"code":"internal_error"' in response.text
    assert "the secret" in caplog.text
