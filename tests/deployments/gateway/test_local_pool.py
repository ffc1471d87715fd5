"""The gateway over a real engine in this process, with an embedded model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deployments.gateway.model import Model
from deployments.pools.pool import LocalPool
from deployments.replica.engine_thread import EngineThread
from dllm_worker.engine import Engine
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.text import Text
from tests.deployments.gateway.asgi import Connection
from tests.deployments.gateway.scripted import app_over, client
from tests.deployments.gateway.test_stream import chunks

PATH = resolve_checkpoint("embedded:tiny-code")
TEMPLATE = "def add(a, b):\n    # a + b, in €\n    return {{hole}}\n\n\nprint({{hole}})\n"
INFILL: dict[str, Any] = {
    "model": "tiny-code",
    "template": TEMPLATE,
    "hole_tokens": [4, 6],
    "temperature": 1.0,
    "seed": 7,
}


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(PATH, "float32", "cpu")


@pytest.fixture
async def engine(loaded: LoadedModel) -> AsyncIterator[EngineThread]:
    thread = EngineThread(Engine(loaded))
    yield thread
    thread.stop()


@pytest.fixture
def app(engine: EngineThread) -> FastAPI:
    model = Model("tiny-code", describe(PATH), Text.load(PATH), LocalPool(engine))
    return app_over({"tiny-code": model})


async def post(app: FastAPI, path: str, body: dict[str, Any]) -> httpx.Response:
    async with client(app) as http:
        response = await http.post(path, json=body)
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize(
    "diffusion", [{}, {"stream": "canvas"}, {"stream": "canvas", "canvas_format": "snapshot", "canvas_every": 2}]
)
async def test_the_stream_adds_up_to_the_answer_watched_or_not(app: FastAPI, diffusion: dict[str, Any]) -> None:
    answer = (await post(app, "/v1/infill", INFILL)).json()
    body = INFILL | {"stream": True, "stream_options": {"include_usage": True}, "diffusion": diffusion}
    streamed = chunks(await post(app, "/v1/infill", body))
    assert "".join(chunk["delta"] for chunk in streamed) == answer["text"]
    for index, hole in enumerate(answer["holes"]):
        assert "".join(chunk["delta"] for chunk in streamed if chunk["hole"] == index) == hole
    assert streamed[-1]["usage"] == answer["usage"]


async def test_a_conversation_is_answered(app: FastAPI) -> None:
    messages = [{"role": "user", "content": "def double(x):\n"}]
    body = {"model": "tiny-code", "messages": messages, "max_tokens": 16}
    answer = (await post(app, "/v1/chat/completions", body)).json()
    assert answer["choices"][0]["finish_reason"] in {"stop", "length"}
    assert answer["usage"]["diffusion"]["denoising_steps"] >= 1


async def test_the_last_frame_of_a_settled_canvas_is_its_committed_text(app: FastAPI) -> None:
    body = {"model": "tiny-code", "template": "def add(a, b):\n    return {{hole}}\n", "hole_tokens": 4, "seed": 1}
    watching = {"stream": True, "diffusion": {"stream": "canvas", "canvas_format": "snapshot"}}
    streamed = chunks(await post(app, "/v1/infill", body | watching))
    frames = [chunk["diffusion"] for chunk in streamed if "diffusion" in chunk]
    text = "".join(chunk["delta"] for chunk in streamed)
    assert frames[-1]["masked"] == 0
    assert text == "def add(a, b):\n    return " + frames[-1]["text"]


async def test_infill_keeps_the_template(app: FastAPI) -> None:
    answer = (await post(app, "/v1/infill", INFILL)).json()
    before, between, after = TEMPLATE.split("{{hole}}")
    first, second = answer["holes"]
    assert answer["text"] == before + first + between + second + after
    assert answer["usage"]["diffusion"]["canvases"] == 1


async def test_a_reader_who_leaves_frees_the_engine(app: FastAPI, engine: EngineThread) -> None:
    connection = Connection(
        app, "/v1/completions", {"model": "tiny-code", "prompt": "x", "stream": True, "max_tokens": 400}
    )
    serving = asyncio.ensure_future(connection.run())
    await connection.parts.get()
    connection.leave()
    await serving
    await post(app, "/v1/completions", {"model": "tiny-code", "prompt": "y", "max_tokens": 1})
    assert (engine.stats().running, engine.stats().waiting) == (0, 0)
