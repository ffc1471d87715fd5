"""Canvases whose text is revised before it is final, watched through the gateway over real engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from fastapi import FastAPI

from deployments.gateway.canvas import MASKED
from deployments.gateway.model import Model
from deployments.pools.pool import LocalPool
from deployments.replica.engine_thread import EngineThread
from dllm_worker.engine import Engine
from dllm_worker.models.loading import LoadedModel, load_model
from tests.deployments.gateway.scripted import KEY, OTHER_KEY, SPECIALS, app_over, byte_text, client
from tests.deployments.gateway.test_stream import chunks
from tests.dllm_worker.models import families

EDITING = {"algorithm": "joint_threshold", "confidence_threshold": 0.1, "editing_threshold": 0.01}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "editing": ("sdar", EDITING | {"max_post_steps": 4}),
    "uniform": ("diffusion_gemma", {"max_steps": 6}),
    "pipelined": ("a2d-qwen3", {"algorithm": "pipelined", "block_length": 8, "confidence_threshold": 0.3}),
    "speculative": ("nemotron_labs_diffusion", {"algorithm": "linear_speculation", "confidence_threshold": 0.1}),
}
REVISING = ("editing", "uniform")
BODY: dict[str, Any] = {"model": "tiny", "prompt": [5, 6, 7, 8, 9], "max_tokens": 22, "seed": 4}

Frames = list[dict[str, Any]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    """Models that never propose a special token of the tests' tokenizer, which has no text."""
    loaded = {}
    for name in {family for family, _ in CASES.values()}:
        model = load_model(families.write(tmp_path_factory.mktemp(name), families.CONFIGS[name]))
        specials = torch.arange(len(SPECIALS), dtype=torch.int64)
        loaded[name] = replace(model, suppressed=torch.cat((specials, model.suppressed)))
    return loaded


@asynccontextmanager
async def serving(loaded: LoadedModel) -> AsyncIterator[FastAPI]:
    """A gateway over one engine, with a tokenizer in which each proposed token is one character."""
    thread = EngineThread(Engine(loaded))
    model = Model("tiny", loaded.description, byte_text(), LocalPool(thread))
    try:
        yield app_over({"tiny": model})
    finally:
        thread.stop()


async def watched(app: FastAPI, diffusion: dict[str, Any]) -> tuple[str, Frames]:
    """The text of a stream and its frames."""
    async with client(app) as http:
        asked = BODY | {"stream": True, "diffusion": {"eos": "ignore", **diffusion, "stream": "canvas"}}
        response = await http.post("/v1/completions", json=asked)
    assert response.status_code == 200, response.text
    received = chunks(response)
    text = "".join(chunk["choices"][0]["text"] for chunk in received)
    return text, [chunk["diffusion"] for chunk in received if "diffusion" in chunk]


class Board:
    """What a client sees who applies every frame in turn."""

    def __init__(self) -> None:
        self.looks: list[str] = []
        self.opened: set[int] = set()
        self.revisions = 0

    def apply(self, frame: dict[str, Any]) -> None:
        start, stop = frame["start"], frame["start"] + frame["length"]
        if frame["block"] not in self.opened:
            self.opened.add(frame["block"])
            self.looks[start:] = [MASKED] * frame["length"]
        for edit in frame["edits"]:
            assert start <= edit["pos"] < stop
            look = MASKED if edit["text"] is None else edit["text"]
            self.revisions += self.looks[edit["pos"]] not in (MASKED, look)
            self.looks[edit["pos"]] = look

    def shown(self, frame: dict[str, Any]) -> str:
        return "".join(self.looks[frame["start"] : frame["start"] + frame["length"]])


@pytest.mark.parametrize("case", CASES)
async def test_patches_lead_to_each_snapshot_and_to_the_text(case: str, models: dict[str, LoadedModel]) -> None:
    family, diffusion = CASES[case]
    async with serving(models[family]) as app:
        patched, patches = await watched(app, diffusion)
        text, snapshots = await watched(app, diffusion | {"canvas_format": "snapshot"})
    assert (len(text), patched) == (22, text)
    board, shown = Board(), {(frame["block"], frame["step"]): frame["text"] for frame in snapshots}
    compared = 0
    for patch in patches:
        board.apply(patch)
        if (patch["block"], patch["step"]) in shown:
            compared += 1
            assert board.shown(patch) == shown[patch["block"], patch["step"]]
    assert compared
    assert "".join(board.looks) == text
    assert not board.revisions or case in REVISING


@pytest.mark.parametrize("case", CASES)
async def test_every_canvas_is_shown_final_however_few_frames_are_asked_for(
    case: str, models: dict[str, LoadedModel]
) -> None:
    family, diffusion = CASES[case]
    async with serving(models[family]) as app:
        _, frames = await watched(app, diffusion | {"canvas_every": 100, "canvas_format": "snapshot"})
    last = {frame["block"]: frame for frame in frames}
    assert all(frame["masked"] == 0 for frame in last.values())
    assert all(frame["max_steps"] is None or frame["step"] <= frame["max_steps"] for frame in frames)


async def test_what_is_committed_is_never_revised(models: dict[str, LoadedModel]) -> None:
    async with serving(models["sdar"]) as app:
        text, frames = await watched(app, EDITING | {"canvas_format": "snapshot"})
    assert len({frame["block"] for frame in frames}) > 1
    for frame in frames:
        known = frame["committed_chars"] - frame["start"]
        if known > 0:
            assert frame["text"][:known] == text[frame["start"] : frame["start"] + known]


async def test_a_model_without_a_mask_fills_holes(models: dict[str, LoadedModel]) -> None:
    async with serving(models["diffusion_gemma"]) as app, client(app) as http:
        body = {"model": "tiny", "template": "ab{{hole}}cd", "hole_tokens": 4, "diffusion": {"max_steps": 4}}
        answer = (await http.post("/v1/infill", json=body)).json()
    assert answer["text"] == f"ab{answer['holes'][0]}cd"


@pytest.mark.parametrize(("eos", "length"), [("prefix", 0), ("ignore", 22)])
async def test_an_end_of_sequence_ends_the_answer_unless_it_is_ignored(
    eos: str, length: int, models: dict[str, LoadedModel]
) -> None:
    loaded = models["a2d-qwen3"]
    ends = tuple(token for token in range(len(SPECIALS), families.VOCABULARY) if token != families.MASK)
    description = replace(loaded.description, spec=replace(loaded.spec, eos_token_ids=ends))
    async with serving(replace(loaded, description=description)) as app:
        text, _ = await watched(app, {"eos": eos})
    assert len(text) == length


async def test_cached_prefixes_are_shared_within_a_tenant_and_never_between_two(models: dict[str, LoadedModel]) -> None:
    long: dict[str, Any] = {**BODY, "prompt": [3 + i % 80 for i in range(70)], "max_tokens": 4}

    async def cached(app: FastAPI, key: str) -> int:
        async with client(app, key) as http:
            usage = (await http.post("/v1/completions", json=long)).json()["usage"]
        found: int = usage["prompt_tokens_details"]["cached_tokens"]
        return found

    async with serving(models["sdar"]) as app:
        assert await cached(app, KEY) == 0
        assert await cached(app, OTHER_KEY) == 0
        assert await cached(app, KEY) > 0
        assert await cached(app, OTHER_KEY) > 0
