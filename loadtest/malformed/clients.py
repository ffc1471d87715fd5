"""Clients of the flood: they send what is malformed, and note how the cluster took it."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status.rpc_status import from_call

from loadtest.malformed.attacks import Attack
from loadtest.malformed.calls import Call

PATIENCE_SECONDS = 60.0
FAULTS = ("5", "INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS", "no answer")
"""What an answer to a malformed request may not begin with."""

WITHOUT_STATE = frozenset({"503 unavailable", "UNAVAILABLE unavailable"})
"""What is told of unknown keys, and of requests that are to be stored, while Redis does not answer in time. That
happens on a machine that is busy with a flood, and is no fault if it is rare.
"""


AGED = "max_age"
"""In the details of a call that ended with its connection, which was as old as it may be."""

WITH_ITS_CONNECTION = "ended with its connection"
"""What became of such a call. gRPC has calls go on over the next connection, but for some whose metadata it refuses,
and for one in tens of thousands that is sent in that very moment.
"""


@dataclass
class Tally:
    """Answers by kind, and an example of each that should not be."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[tuple[str, str], str] = field(default_factory=dict)
    slowest: dict[str, float] = field(default_factory=dict)

    def note(self, kind: str, answer: str, sent: bytes, seconds: float) -> None:
        """Enter one answer."""
        self.answers[kind, answer] += 1
        self.slowest[kind] = max(self.slowest.get(kind, 0.0), seconds)
        if answer.startswith(FAULTS) and answer not in WITHOUT_STATE:
            self.faults.setdefault((kind, answer), repr(sent[:1500]))

    @property
    def without_state(self) -> int:
        """How many were told that Redis did not answer in time."""
        return sum(count for (_, answer), count in self.answers.items() if answer in WITHOUT_STATE)

    @property
    def with_their_connections(self) -> int:
        """How many calls ended with their connections."""
        return sum(count for (_, answer), count in self.answers.items() if answer == WITH_ITS_CONNECTION)


class Budget:
    """How many requests are still to be sent, for all clients together, and at most how many ``per_second``."""

    def __init__(self, requests: int, per_second: float = math.inf) -> None:
        self._left, self._gap, self._due = requests, 1 / per_second, 0.0

    async def __aiter__(self) -> AsyncIterator[int]:
        while self._left > 0:
            self._left -= 1
            now = time.monotonic()
            due = max(now, self._due)
            self._due = due + self._gap
            await asyncio.sleep(due - now)
            yield self._left


async def over_http(port: int, draw: Callable[[], Attack], budget: Budget, tally: Tally) -> None:
    """One request after the other, on one connection for as long as it lasts."""
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    async for _ in budget:
        attack, start = draw(), time.perf_counter()
        if connection is None:
            connection = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer, lasts = await _exchange(*connection, attack)
        except TimeoutError:
            answer, lasts = "no answer", False
        except OSError:
            answer, lasts = "closed", False
        tally.note(f"http: {attack.kind}", answer, attack.data, time.perf_counter() - start)
        if not lasts:
            connection[1].transport.abort()
            connection = None
    if connection is not None:
        connection[1].transport.abort()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, attack: Attack) -> tuple[str, bool]:
    """The status that comes back, and whether the connection can be used again."""
    writer.write(attack.data)
    if attack.leaves:
        await writer.drain()
        return "left", False
    status = b"100"
    while status.startswith(b"1"):
        line = await reader.readline()
        if not line:
            return "closed", False
        status = line.split(b" ")[1]
        headers = await _headers(reader)
    if attack.data.startswith(b"HEAD "):
        return status.decode(), False
    body = await _body(reader, headers)
    code = CODE.search(body) if status.startswith(b"5") else None
    answer = status if code is None else status + b" " + code[1]
    # What is wrong with the framing of a request is found in what follows it.
    return answer.decode(), attack.kind in REUSED and headers.get(b"connection") != b"close"


CODE = re.compile(rb'"code":"(\w+)"')
REUSED = frozenset({"well-formed", "mutated body", "broken JSON", "media type", "credential", "large"})


async def _headers(reader: asyncio.StreamReader) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return headers


async def _body(reader: asyncio.StreamReader, headers: dict[bytes, bytes]) -> bytes:
    if headers.get(b"transfer-encoding") != b"chunked":
        return await reader.readexactly(int(headers.get(b"content-length", b"0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size + 2)
    await reader.readline()
    return body


async def over_grpc(address: str, draw: Callable[[], Call], budget: Budget, tally: Tally) -> None:
    """One call after the other."""
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        async for _ in budget:
            call, start = draw(), time.perf_counter()
            code = await _called(channel, call)
            tally.note(f"grpc: {call.kind}", code, call.data, time.perf_counter() - start)


async def _called(channel: grpc.aio.Channel, call: Call) -> str:
    metadata, seconds = call.metadata, call.seconds or PATIENCE_SECONDS
    stream: Any = channel.unary_stream(call.path)
    unary: Any = channel.unary_unary(call.path)
    try:
        if call.streams:
            async for _ in stream(call.data, metadata=metadata, timeout=seconds):
                pass
        else:
            await unary(call.data, metadata=metadata, timeout=seconds)
    except grpc.aio.AioRpcError as error:
        late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and call.seconds is None
        if AGED in (error.details() or ""):
            return WITH_ITS_CONNECTION
        return "no answer" if late else _reason(error)
    return "OK"


def _reason(error: grpc.aio.AioRpcError) -> str:
    """The status, with the reason of one that would be the cluster's fault."""
    if error.code() is not grpc.StatusCode.UNAVAILABLE:
        return error.code().name
    status, info = from_call(error), ErrorInfo()
    known = status is not None and any(detail.Unpack(info) for detail in status.details)
    return f"{error.code().name} {info.reason if known else error.details()}"
