"""A cluster that says what a test has it say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

import httpx

from loadtest.arrivals.arrival import Arrival
from loadtest.exchanges.perform import perform
from loadtest.exchanges.wire import Place, Wire
from loadtest.figures.sample import Sample
from loadtest.scenario.scenario import Models

Json = dict[str, Any]
Handler = Callable[[httpx.Request], httpx.Response]

USAGE: Json = {
    "prompt_tokens": 8,
    "completion_tokens": 4,
    "diffusion": {"denoising_steps": 6, "canvases": 1, "forward_passes": 5, "position_forwards": 96},
}


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> Json:
    """One chunk of a chat stream."""
    delta = {} if text is None else {"content": text}
    return {
        "id": "chatcmpl-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        "usage": None,
    } | more


def whole(*texts: str) -> list[Json]:
    """The chunks of an answer that goes well."""
    return [*map(chunk, texts), chunk(finish="stop"), {"id": "chatcmpl-1", "choices": [], "usage": USAGE}]


def stream(chunks: Iterable[Json], *, done: bool = True, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """The chunks as server-sent events."""
    frames = [f"id: {number}\ndata: {json.dumps(each)}\n\n" for number, each in enumerate(chunks, 1)]
    end = "data: [DONE]\n\n" if done else ""
    return httpx.Response(200, stream=httpx.ByteStream(("".join(frames) + end).encode()), headers=headers)


def error(status: int, code: str) -> httpx.Response:
    """A refusal in the shape of the API."""
    return httpx.Response(status, json={"error": {"code": code, "message": "because"}, "request_id": "req_1"})


def ask(
    arrival: Arrival, answers: Mapping[str, Handler] | Handler, deadline: float | None = None, late: float = 0.0
) -> Sample:
    """What becomes of ``arrival``, asked so ``late``, where each look at the clock takes a sixteenth of a second.

    ``answers`` are by method and path.
    """
    ticks = count()

    def handle(request: httpx.Request) -> httpx.Response:
        if callable(answers):
            return answers(request)
        return answers[f"{request.method} {request.url.path}"](request)

    deadlines = {} if deadline is None else {arrival.tenant: deadline}
    place = Place("http://cluster/v1", None, Models(), {arrival.tenant: "a-key"}, deadlines)
    wire = Wire(place, httpx.MockTransport(handle))
    try:
        return perform(wire, arrival, lambda: arrival.at + late + next(ticks) / 16)
    finally:
        wire.retire()
        assert wire.http.is_closed
