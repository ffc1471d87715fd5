"""What plain HTTP clients meet: frames, infill, records, disconnects, health."""

from __future__ import annotations

import asyncio
import json
import re

import httpx
import pytest

from dllm_worker.embedded.sudoku.puzzles import is_solved
from tests.end_to_end.conftest import Cluster

PUZZLE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
FRAME = re.compile(rb"id: (\d+)\ndata: (\{.*\})\n\n")
DATA = re.compile(rb"^data: (\{.*\})$", re.MULTILINE)
ENDLESS = {
    "model": "tiny-code",
    "prompt": "x = [",
    "max_tokens": 480,
    "stream": True,
    "temperature": 1.5,
    "diffusion": {"algorithm": "random", "stream": "canvas", "block_length": 256},
}


def http(cluster: Cluster, key: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key or cluster.key}"}
    return httpx.AsyncClient(base_url=cluster.base_url, headers=headers, timeout=60)


async def test_a_stream_is_framed_to_the_byte(cluster: Cluster) -> None:
    body = {"model": "tiny-code", "prompt": "import ", "max_tokens": 16, "stream": True}
    async with http(cluster) as client:
        answer = await client.post("/v1/completions", json=body)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    wire = answer.content.replace(b": keep-alive\n", b"")
    assert wire.endswith(b"data: [DONE]\n\n")
    frames = FRAME.findall(wire)
    assert b"".join(b"id: %b\ndata: %b\n\n" % frame for frame in frames) + b"data: [DONE]\n\n" == wire
    assert [int(number) for number, _ in frames] == list(range(1, len(frames) + 1))
    chunks = [json.loads(data) for _, data in frames]
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert [chunk["choices"][0]["finish_reason"] is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]


async def test_watching_the_canvas_leaves_the_text_alone(cluster: Cluster) -> None:
    body = {"model": "tiny-code", "prompt": "def f(", "max_tokens": 40, "seed": 2, "stream": True}

    async def chunks(diffusion: dict[str, str]) -> list[dict[str, object]]:
        async with http(cluster) as client:
            answer = await client.post("/v1/completions", json={**body, "diffusion": diffusion})
        return [json.loads(data) for data in DATA.findall(answer.content)]

    def text(received: list[dict[str, object]]) -> str:
        return "".join(chunk["choices"][0]["text"] for chunk in received)  # type: ignore[index]

    plain, watched = await chunks({}), await chunks({"stream": "canvas"})
    assert text(plain) == text(watched)
    assert not any("diffusion" in chunk for chunk in plain)
    frames = [chunk["diffusion"] for chunk in watched if "diffusion" in chunk]
    assert frames
    sequence = [frame["seq"] for frame in frames]  # type: ignore[index]
    assert sequence == sorted(set(sequence))


async def test_a_sudoku_is_81_characters_with_holes(cluster: Cluster) -> None:
    body = {"model": "tiny-sudoku", "template": PUZZLE, "hole": ".", "hole_tokens": 1}
    async with http(cluster) as client:
        answer = (await client.post("/v1/infill", json=body)).json()
    assert all(given in (".", filled) for given, filled in zip(PUZZLE, answer["text"], strict=True))
    assert "".join(answer["holes"]) == "".join(
        filled for given, filled in zip(PUZZLE, answer["text"], strict=True) if given == "."
    )
    assert is_solved(int(digit) for digit in answer["text"])
    assert answer["usage"]["completion_tokens"] == PUZZLE.count(".")


async def test_a_template_with_named_holes(cluster: Cluster) -> None:
    body = {"model": "tiny-code", "template": "def {{hole}}(a):\n    return {{hole}}\n", "hole_tokens": [4, 8]}
    async with http(cluster) as client:
        answer = (await client.post("/v1/infill", json=body)).json()
    first, second = answer["holes"]
    assert answer["text"] == f"def {first}(a):\n    return {second}\n"


async def test_a_record_is_read_back_by_its_tenant_only(cluster: Cluster) -> None:
    async with http(cluster) as client, http(cluster, cluster.foreign_key) as foreign:
        made = (
            await client.post("/v1/completions", json={"model": "tiny-code", "prompt": "x", "max_tokens": 4})
        ).json()
        record = (await client.get(f"/v1/requests/{made['id']}")).json()
        assert (record["status"], record["model"]) == ("completed", "tiny-code")
        assert len(record["committed_tokens"]) == made["usage"]["completion_tokens"]
        assert record["usage"]["diffusion"] == made["usage"]["diffusion"]
        hidden = await foreign.get(f"/v1/requests/{made['id']}")
        missing = await foreign.get("/v1/requests/cmpl-nothing")
        assert hidden.status_code == missing.status_code == 404
        assert hidden.json()["error"] == missing.json()["error"]


async def until_idle(cluster: Cluster) -> dict[str, int]:
    """The replica's counters once nothing runs; a free canvas shows within a few steps."""
    for _ in range(200):
        stats = await cluster.stats("tiny-code")
        if not stats["running"] and not stats["waiting"]:
            return stats
        await asyncio.sleep(0.05)
    pytest.fail(f"the replica still holds {stats}")


async def test_a_storm_of_disconnects_leaves_nothing(cluster: Cluster) -> None:
    before = await until_idle(cluster)

    async def leave_early(client: httpx.AsyncClient, frames: int) -> str:
        async with client.stream("POST", "/v1/completions", json=ENDLESS) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    frames -= 1
                    if frames <= 0:
                        identity: str = json.loads(line[6:])["id"]
                        return identity
        pytest.fail("the stream ended first")

    async with http(cluster) as client:
        names = await asyncio.gather(*(leave_early(client, 1 + number % 4) for number in range(12)))
        after = await until_idle(cluster)
        assert after["free_pages"] == before["free_pages"] == after["pages"]
        records = [(await client.get(f"/v1/requests/{name}")).json() for name in names]
    assert {record["status"] for record in records} == {"cancelled"}
    most = 480 * 480 * len(names)
    assert after["position_forwards"] - before["position_forwards"] < most / 10


async def test_health_needs_no_key(cluster: Cluster) -> None:
    async with httpx.AsyncClient(base_url=cluster.base_url) as client:
        assert (await client.get("/health/live")).status_code == 200
        ready = await client.get("/health/ready")
        assert ready.json() == {"status": "ready", "models": {"tiny-code": True, "tiny-sudoku": True}}
        assert (await client.get("/v1/models")).status_code == 401
