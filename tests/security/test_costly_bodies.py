"""Bodies of a mebibyte that would take memory or time to refuse, or to answer."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.deployments.gateway.scripted import client, gateway, saying

SIZE = 1 << 20
MOST_MEMORY = 160 * SIZE
"""JSON of a hundred thousand small values takes as many objects. What each fault would have taken is ten times that."""

JSON = {"content-type": "application/json"}


def filled(head: bytes, item: bytes, tail: bytes) -> bytes:
    return head + b",".join([item] * ((SIZE - len(head) - len(tail)) // (len(item) + 1))) + tail


def named(head: bytes, tail: bytes) -> bytes:
    return head + b",".join(b'"%x":0' % number for number in range(90_000)) + tail


COMPLETION = b'{"model":"tiny","prompt":"hi",'
COSTLY: dict[str, tuple[str, bytes, str]] = {
    "messages": ("/v1/chat/completions", filled(b'{"model":"tiny","messages":[', b"{}", b"]}"), "messages[0].role"),
    "input": ("/v1/responses", filled(b'{"model":"tiny","input":[', b"{}", b"]}"), "input[0].role"),
    "diffusion": ("/v1/completions", named(COMPLETION + b'"diffusion":{', b"}}"), "diffusion.0"),
    "metadata": ("/v1/completions", named(COMPLETION + b'"metadata":{', b"}}"), "metadata"),
    "stop": ("/v1/completions", filled(COMPLETION + b'"stop":[', b"0", b"]}"), "stop"),
    "tools": ("/v1/completions", filled(COMPLETION + b'"tools":[', b"{}", b"]}"), "tools"),
}


@contextmanager
def memory() -> Iterator[list[int]]:
    """The most that was held at once meanwhile, above what was held before."""
    tracemalloc.start()
    peak: list[int] = []
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", COSTLY)
async def test_a_costly_body_is_refused_cheaply(name: str) -> None:
    path, body, parameter = COSTLY[name]
    async with client(gateway(saying("never"))) as http:
        with memory() as peak:
            answer = await http.post(path, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, parameter)
    assert peak[0] < MOST_MEMORY
    assert len(answer.content) < 1000


async def test_holes_are_counted_before_any_text_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dllm_worker.text.Text.encode", None)
    body = b'{"model":"tiny","hole":"a","template":"' + b"ab" * (SIZE // 3) + b'"}'
    async with client(gateway(saying("never"))) as http:
        answer = await http.post("/v1/infill", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


LONG = "x" * (SIZE - 1000)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": LONG}),
        ("/v1/infill", {"template": LONG + "{{hole}}"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": LONG}]}),
        ("/v1/responses", {"input": LONG}),
    ],
)
async def test_a_text_that_cannot_fit_is_not_read(
    path: str, body: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dllm_worker.text.Text.encode", None)
    monkeypatch.setattr("dllm_worker.text.Text.chat", None)
    async with client(gateway(saying("never"))) as http:
        answer = await http.post(path, json={"model": "tiny", **body})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "hi", "model": "m" * 50_000}),
        ("/v1/completions", {"prompt": "hi", "model": "tiny", "diffusion": {"d" * 50_000: 1}}),
        ("/v1/infill", {"template": "hi", "model": "tiny", "hole": "h" * 50_000}),
    ],
)
async def test_a_refusal_does_not_repeat_what_was_sent_at_length(path: str, body: dict[str, object]) -> None:
    async with client(gateway(saying("never"))) as http:
        answer = await http.post(path, json=body, headers={"x-dllm-strict": "true"})
    assert answer.status_code == 400
    assert len(answer.content) < 1000
