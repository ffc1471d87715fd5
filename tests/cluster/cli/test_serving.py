"""The same cluster behind each way from the socket to the gateway."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster.shell import commands_of, dllm, listening

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(sys.platform != "linux", reason="sockets are found in /proc"),
]

CONFIGURATION = """
http: {{port: 0}}
ray: {{serving: {serving}}}
models: [{{id: code, checkpoint: "embedded:tiny-code", pools: [{{cpus: 0.2, threads: 1}}]}}]
"""
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
ENDLESS = {
    "model": "code",
    "prompt": "x = [",
    "max_tokens": 480,
    "stream": True,
    "diffusion": {"algorithm": "random", "stream": "canvas", "block_length": 256},
}


@pytest.fixture(scope="module", params=["default", "throughput", "haproxy"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a running cluster, with the answer of ``dllm up`` in a file."""
    home = tmp_path_factory.mktemp("home")
    file = home / "cluster.yaml"
    file.write_text(CONFIGURATION.format(serving=request.param))
    up = dllm(home, "up", "--config", str(file), "--detach", "--json")
    try:
        assert up.returncode == 0, up.stderr
        (home / "connection").write_text(up.stdout)
        yield home
    finally:
        dllm(home, "down")
    assert commands_of(home) == []


@pytest.fixture
def client(home: Path) -> Iterator[httpx.Client]:
    connection = json.loads((home / "connection").read_text())
    headers = {"Authorization": f"Bearer {connection['api_key']}"}
    with httpx.Client(base_url=connection["base_url"], headers=headers, timeout=60) as client:
        yield client


def test_everything_listens_to_this_machine_only(home: Path) -> None:
    addresses = listening(home)
    assert addresses
    assert addresses <= LOOPBACK


def test_an_answer_and_its_stream_are_the_same_text(client: httpx.Client) -> None:
    body = {"model": "code", "prompt": "def f(", "max_tokens": 24, "seed": 3}
    whole = client.post("/completions", json=body).json()
    stream = client.post("/completions", json=body | {"stream": True}).text
    chunks = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == whole["choices"][0]["text"]
    assert stream.endswith("data: [DONE]\n\n")


def test_a_request_has_one_id(client: httpx.Client) -> None:
    for brought, kept in (("my-id.1", True), ("two words", False)):
        answer = client.get("/models", headers={"x-request-id": brought})
        (name,) = answer.headers.get_list("x-request-id")
        assert (name == brought) == kept


def test_a_stream_arrives_while_it_is_written_and_a_client_that_leaves_ends_it(client: httpx.Client) -> None:
    with client.stream("POST", "/completions", json=ENDLESS) as answer:
        line = next(line for line in answer.iter_lines() if line.startswith("data: {"))
    name = json.loads(line[6:])["id"]
    for _ in range(200):
        status = client.get(f"/requests/{name}").json()["status"]
        if status not in ("queued", "running"):
            break
        time.sleep(0.05)
    assert status == "cancelled"


def test_an_error_keeps_its_shape(client: httpx.Client) -> None:
    answer = client.post("/completions", json={"model": "none", "prompt": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert client.get("/health/ready").status_code == 404
    ready = client.get(str(client.base_url).removesuffix("/v1/") + "/health/ready")
    assert ready.json()["status"] == "ready"
