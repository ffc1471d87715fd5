"""Clients that ask without a pause, in one piece, as a stream and over gRPC, by connections that they keep, and whose
answers are known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from typing import Any

import grpc
import httpx

from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2
from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2_grpc import InferenceServiceStub
from tests.chaos.clients import Client, Json, unary
from tests.chaos.history import Answer, faults
from tests.chaos.load import Load

STREAMING, WHOLE, CALLING = 3, 2, 2
"""How many clients there are of each kind."""

CALL_SECONDS = 60.0
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)

Asked = Callable[[Json], Awaitable[str]]


@dataclass(slots=True)
class Seen:
    """What the clients saw: how many requests of each kind were answered, and what was wrong."""

    answered: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


class MixedLoad:
    """Clients of the cluster at ``base_url`` and ``grpc_address``, with the key of ``client``."""

    def __init__(
        self, client: Client, grpc_address: str, key: str, bodies: Sequence[Json], answers: Sequence[Answer]
    ) -> None:
        self._client, self._grpc_address, self._key = client, grpc_address, key
        self._bodies, self._answers = bodies, answers

    async def during(self, mischief: Awaitable[None]) -> Seen:
        """What was seen of requests that were begun before ``mischief`` was over."""
        seen, over = Seen(), asyncio.Event()

        async def told() -> None:
            try:
                await mischief
            finally:
                over.set()

        async with AsyncExitStack() as channels, asyncio.TaskGroup() as group:
            for number in range(WHOLE):
                group.create_task(self._ask("whole", self._post, number, over, seen))
            for number in range(CALLING):
                own = grpc.aio.insecure_channel(self._grpc_address, options=OWN_CONNECTION)
                call = partial(self._call, await channels.enter_async_context(own))
                group.create_task(self._ask("called", call, number, over, seen))
            load = Load(self._client, self._bodies, self._answers, STREAMING)
            stories = await load.during(told())
        seen.answered["streamed"] = len(stories)
        seen.wrong += [str(fault) for story in stories for fault in faults(story)]
        return seen

    async def _ask(self, kind: str, ask: Asked, first: int, over: asyncio.Event, seen: Seen) -> None:
        seen.answered.setdefault(kind, 0)
        pairs = cycle(zip(self._bodies, self._answers, strict=True))
        for _ in range(first):
            next(pairs)
        while not over.is_set():
            body, expected = next(pairs)
            try:
                text = await ask(body)
            except (httpx.HTTPError, grpc.aio.AioRpcError) as error:
                seen.wrong.append(f"{kind}: {_said(error)}")
                continue
            seen.answered[kind] += 1
            if text != expected.text:
                seen.wrong.append(f"{kind}: {text!r} instead of {expected.text!r}")

    async def _post(self, body: Json) -> str:
        reply = await self._client.http.post("/v1/completions", json=unary(body))
        reply.raise_for_status()
        text: str = reply.json()["choices"][0]["text"]
        return text

    async def _call(self, channel: grpc.aio.Channel, body: Json) -> str:
        given = {name: body[name] for name in ("model", "prompt", "max_tokens", "temperature", "seed")}
        request = inference_pb2.GenerateRequest(completion=inference_pb2.Completion(**given))
        metadata = (("authorization", f"Bearer {self._key}"),)
        service: Any = InferenceServiceStub(channel)
        answer = await service.Generate(request, metadata=metadata, timeout=CALL_SECONDS)
        text: str = answer.choices[0].text
        return text


def _said(error: httpx.HTTPError | grpc.aio.AioRpcError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.text}"
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name} {error.details()}"
    return repr(error)
