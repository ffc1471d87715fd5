"""Clients that write down what they see."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.history import Answer, Frame, Reading, Story

Json = dict[str, Any]
Watch = Callable[[Json], object]

RETRY_SECONDS = 0.1
PATIENCE_SECONDS = 60.0

RETRIED = (500, 502, 503)
"""What a client that reads on meets while gateways come and go."""


@dataclass(slots=True)
class Seen:
    """What one request's client has seen so far. ``id`` is the request's, once a chunk had it."""

    name: str
    body: Json
    readings: list[Reading] = field(default_factory=list)
    id: str = ""
    position_forwards: int | None = None

    @property
    def last(self) -> int:
        """The number of the last frame that came."""
        return max((frame.number or 0 for reading in self.readings for frame in reading.frames), default=0)

    @property
    def has_end(self) -> bool:
        return any(reading.whole or reading.status != 200 for reading in self.readings)

    def story(self, expected: Answer) -> Story:
        return Story(self.name, tuple(self.readings), expected, self.id, self.position_forwards)


UNDER_WAY = ("queued", "running", "in_progress")


class Client:
    """Streams completions from a gateway. A stream that is cut is taken up again where it can be."""

    def __init__(self, base_url: str, key: str) -> None:
        self.told: dict[str, Json] = {}
        """The usage that came first of each request."""
        self.http = httpx.AsyncClient(
            base_url=base_url, headers={"authorization": f"Bearer {key}"}, timeout=httpx.Timeout(PATIENCE_SECONDS)
        )

    async def answer(self, body: Json) -> Answer:
        """What the request gives while nothing disturbs it."""
        reply = await self.http.post("/v1/completions", json=unary(body))
        reply.raise_for_status()
        whole = reply.json()
        choice, usage = whole["choices"][0], whole["usage"]
        self.told[whole["id"]] = usage
        return Answer(choice["text"], choice["finish_reason"], usage["diffusion"]["position_forwards"])

    async def answers(self, bodies: Sequence[Json]) -> list[Answer]:
        """The same of several at once."""
        return await asyncio.gather(*(self.answer(body) for body in bodies))

    async def tell(self, seen: Seen, watch: Watch | None = None) -> Seen:
        """One streamed request to its end. ``watch`` is called with each chunk as it comes."""
        stored = bool(seen.body.get("store_stream"))
        body = seen.body | {"stream": True, "stream_options": {"include_usage": True}}
        await self.read(seen, "POST", "/v1/completions", 0, watch, json=body)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while stored and seen.id and not seen.has_end and time.monotonic() < deadline:
            await asyncio.sleep(RETRY_SECONDS)
            await self.resume(seen, watch)
            if seen.readings[-1].status in RETRIED:
                seen.readings.pop()
        return seen

    async def resume(self, seen: Seen, watch: Watch | None = None, after: int | None = None) -> None:
        """One attempt to read on behind the frame ``after``, or the last one that came."""
        start = seen.last if after is None else after
        headers = {"last-event-id": str(start)}
        await self.read(seen, "GET", f"/v1/requests/{seen.id}/stream", start, watch, headers=headers)

    async def read(self, seen: Seen, method: str, path: str, after: int, watch: Watch | None, **request: Any) -> None:
        """One connection. That nobody listens is no reading: its client tries again."""
        opened, frames, status, whole = time.monotonic(), list[Frame](), 0, False
        try:
            async with self.http.stream(method, path, **request) as reply:
                status = reply.status_code
                if status != 200:
                    frames.append(Frame(time.monotonic(), error=refusal(status, await reply.aread())))
                async for number, chunk in events(reply):
                    whole = chunk is None
                    if chunk is None:
                        break
                    frames.append(frame_of(time.monotonic(), number, chunk))
                    self._note(seen, chunk)
                    if watch is not None:
                        watch(chunk)
        except (httpx.TransportError, httpx.StreamError):
            whole = False
        if status:
            seen.readings.append(Reading(opened, status, tuple(frames), after, whole))

    async def get(self, path: str) -> Json:
        """The body of an answer, from whichever gateway gives one first. Raises when it is refused."""
        while True:
            try:
                reply = await self.http.get(path)
            except httpx.TransportError:
                reply = httpx.Response(503)
            if reply.status_code not in RETRIED:
                reply.raise_for_status()
                body: Json = reply.json()
                return body
            await asyncio.sleep(RETRY_SECONDS)

    async def settled(self, path: str) -> Json:
        """The body of a request's account once it is over. Raises :class:`TimeoutError`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                account = await self.get(path)
                if account["status"] not in UNDER_WAY:
                    return account
                await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Hang up."""
        await self.http.aclose()

    def _note(self, seen: Seen, chunk: Json) -> None:
        seen.id = chunk.get("id") or seen.id
        if chunk.get("usage"):
            seen.position_forwards = chunk["usage"]["diffusion"]["position_forwards"]
            self.told.setdefault(seen.id, chunk["usage"])


async def events(reply: httpx.Response) -> AsyncIterator[tuple[int | None, Json | None]]:
    """The number and the JSON of each event, ``None`` for the last, which has none."""
    number: int | None = None
    async for line in reply.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            number = int(value)
        elif name == "data":
            yield number, None if value == "[DONE]" else json.loads(value)
            number = None


def unary(body: Json) -> Json:
    """The same request without what only a stream can have."""
    diffusion = {name: value for name, value in body.get("diffusion", {}).items() if name != "stream"}
    return {name: value for name, value in body.items() if name != "store_stream"} | {"diffusion": diffusion}


def refusal(status: int, body: bytes) -> str:
    """The code of an error. What stands before a gateway answers in words of its own."""
    try:
        code: str = json.loads(body)["error"]["code"]
    except ValueError:
        return f"status {status}"
    return code


def frame_of(at: float, number: int | None, chunk: Json) -> Frame:
    """The frame of a chunk of a stream of completions."""
    error = chunk.get("error")
    if error is not None:
        return Frame(at, number, error=error["code"])
    choices = chunk.get("choices") or [{}]
    return Frame(at, number, choices[0].get("text", ""), choices[0].get("finish_reason"))
