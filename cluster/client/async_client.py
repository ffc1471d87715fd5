"""The client of a tenant, with asyncio."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self, Unpack

import httpx

from cluster.client import calls
from cluster.client.answers import ChatCompletion, Completion, Infill, Model, ModelList, RequestRecord, UsageReport
from cluster.client.async_connection import AsyncConnection, AsyncSleep, AsyncStream
from cluster.client.attempts import Clock, Draw, Surroundings
from cluster.client.calls import NO_TERMS, Call, Parameters, Terms
from cluster.client.client import USUAL_RETRIES
from cluster.client.reading import StreamReader
from cluster.client.retries import RetryPolicy


class AsyncClient:
    """As :class:`cluster.client.client.Client`, with ``async with``, ``await`` and ``async for``."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        retries: RetryPolicy = USUAL_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = time.time,
        sleep: AsyncSleep = asyncio.sleep,
        draw: Draw = random.random,
    ) -> None:
        self._connection = AsyncConnection(base_url, api_key, Surroundings(retries, clock, draw), sleep, transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def chat(
        self,
        messages: str | Sequence[Mapping[str, str]],
        model: str,
        *,
        terms: Terms = NO_TERMS,
        **parameters: Unpack[Parameters],
    ) -> ChatCompletion:
        """Answer a conversation; a string is one turn of the user."""
        return await self._connection.answer(calls.chat(messages, model, parameters, terms))

    def stream_chat(
        self,
        messages: str | Sequence[Mapping[str, str]],
        model: str,
        *,
        terms: Terms = NO_TERMS,
        resume: bool = False,
        **parameters: Unpack[Parameters],
    ) -> AsyncStream:
        """The same as it is written."""
        return self._stream(calls.chat(messages, model, parameters, terms), resume)

    async def complete(
        self,
        prompt: str,
        model: str,
        *,
        suffix: str | None = None,
        terms: Terms = NO_TERMS,
        **parameters: Unpack[Parameters],
    ) -> Completion:
        """Continue a prompt or, with a ``suffix``, write what stands between the two."""
        return await self._connection.answer(calls.completion(prompt, model, suffix, parameters, terms))

    def stream_completion(
        self,
        prompt: str,
        model: str,
        *,
        suffix: str | None = None,
        terms: Terms = NO_TERMS,
        resume: bool = False,
        **parameters: Unpack[Parameters],
    ) -> AsyncStream:
        """The same as it is written."""
        return self._stream(calls.completion(prompt, model, suffix, parameters, terms), resume)

    async def infill(
        self,
        template: str,
        model: str,
        *,
        hole: str = calls.HOLE,
        hole_tokens: int | Sequence[int] = calls.HOLE_TOKENS,
        terms: Terms = NO_TERMS,
        **parameters: Unpack[Parameters],
    ) -> Infill:
        """Fill each occurrence of ``hole`` in a template."""
        return await self._connection.answer(calls.infill(template, model, hole, hole_tokens, parameters, terms))

    def stream_infill(
        self,
        template: str,
        model: str,
        *,
        hole: str = calls.HOLE,
        hole_tokens: int | Sequence[int] = calls.HOLE_TOKENS,
        terms: Terms = NO_TERMS,
        resume: bool = False,
        **parameters: Unpack[Parameters],
    ) -> AsyncStream:
        """The same as it is written."""
        return self._stream(calls.infill(template, model, hole, hole_tokens, parameters, terms), resume)

    def resumed(self, id: str, after: int = 0) -> AsyncStream:
        """The stream of a stored request behind frame ``after``, by the id of its answer."""
        return AsyncStream(self._connection, calls.stream_of(id, after), StreamReader(id, after), resumes=True)

    async def models(self) -> ModelList:
        """The models that the key may use."""
        return await self._connection.answer(calls.models())

    async def model(self, id: str) -> Model:
        """One of them."""
        return await self._connection.answer(calls.model(id))

    async def request(self, id: str) -> RequestRecord:
        """What is known of a request, by the id of its answer."""
        return await self._connection.answer(calls.request(id))

    async def cancel(self, id: str) -> RequestRecord:
        """End a request if it runs; its canvas is free within one step."""
        return await self._connection.answer(calls.cancel(id))

    async def usage(self, start: str | None = None, end: str | None = None) -> UsageReport:
        """The tenant's usage by UTC day and model, from the day ``start`` to the day ``end`` (``YYYY-MM-DD``)."""
        return await self._connection.answer(calls.usage(start, end))

    def _stream(self, call: Call[Any], resume: bool) -> AsyncStream:
        return AsyncStream(self._connection, calls.streamed(call, stored=resume), StreamReader(), resumes=resume)
