"""A client that does not read, in front of a real Serve: its socket is read when the test says so."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from urllib.parse import urlsplit

import httpx
import pytest

from tests.end_to_end.conftest import Cluster
from tests.end_to_end.flood import COMMITS, STEPS, Flood, shown


@pytest.fixture(scope="module")
def flood(cluster: Cluster) -> Iterator[str]:
    """The base URL of a :class:`Flood` behind the same proxy as the gateway."""
    from ray import serve

    serve.run(Flood.bind(), name="flood", route_prefix="/flood")  # type: ignore[attr-defined]
    yield f"{cluster.base_url}/flood"
    serve.delete("flood")


def begin(url: str) -> tuple[socket.socket, HTTPResponse]:
    """Ask for a stream and read the head of the answer."""
    place = urlsplit(url)
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(60)
    reader.connect((place.hostname, place.port))
    reader.sendall(f"GET {place.path}?{place.query} HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
    answer = HTTPResponse(reader)
    answer.begin()
    return reader, answer


def test_a_slow_reader_loses_views_of_the_canvas_and_nothing_else(flood: str, cluster: Cluster) -> None:
    reader, answer = begin(f"{flood}/stream/slow")
    with reader, answer:
        assert httpx.get(f"{flood}/written/slow", timeout=60).status_code == 200
        body = {"model": "tiny-code", "prompt": "import ", "max_tokens": 4, "stream": True}
        headers = {"Authorization": f"Bearer {cluster.key}"}
        other = httpx.post(f"{cluster.base_url}/v1/completions", json=body, headers=headers, timeout=60)
        assert other.text.endswith("data: [DONE]\n\n")
        frames = answer.read().decode().split("\n\n")[:-1]
    chunks = [json.loads(frame.partition("data: ")[2]) for frame in frames]
    numbers = [int(frame.partition("\n")[0][4:]) for frame in frames if frame.startswith("id: ")]
    assert numbers == list(range(1, COMMITS + 1))
    views = [chunk["diffusion"] for chunk in chunks if "diffusion" in chunk]
    assert COMMITS < len(views) < STEPS * 3 / 4
    assert views[-1]["text"] == shown(STEPS)
    text = 0
    for chunk in chunks:
        text += len(chunk["text"])
        assert "diffusion" not in chunk or chunk["diffusion"]["committed_chars"] == text


def test_a_slow_reader_that_leaves_ends_its_stream(flood: str) -> None:
    reader, answer = begin(f"{flood}/stream/endless?steps=0")
    with reader:
        answer.close()
    assert httpx.get(f"{flood}/left/endless", timeout=60).status_code == 200
