"""The client of a tenant."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self, Unpack

import httpx

from cluster.client import calls
from cluster.client.answers import ChatCompletion, Completion, Infill, Model, ModelList, RequestRecord, UsageReport
from cluster.client.attempts import Clock, Draw, Surroundings
from cluster.client.calls import NO_TERMS, Call, Parameters, Terms
from cluster.client.connection import Connection, Sleep, Stream
from cluster.client.reading import StreamReader
from cluster.client.retries import RetryPolicy

USUAL_RETRIES = RetryPolicy()


class Client:
    """Calls a cluster with a tenant's key. ``base_url`` ends in ``/v1``. Used in a ``with`` block or closed at the end.

    Every call raises :class:`cluster.client.errors.ClientError`. It is tried again as ``retries`` say; an answer that
    was lost on the way only where that can do nothing twice: with an idempotency key, or where nothing is generated.
    A stream with ``resume`` is stored by the service, and goes on where its connection was cut off.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        retries: RetryPolicy = USUAL_RETRIES,
        transport: httpx.BaseTransport | None = None,
        clock: Clock = time.time,
        sleep: Sleep = time.sleep,
        draw: Draw = random.random,
    ) -> None:
        self._connection = Connection(base_url, api_key, Surroundings(retries, clock, draw), sleep, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def chat(
        self,
        messages: str | Sequence[Mapping[str, str]],
        model: str,
        *,
        terms: Terms = NO_TERMS,
        **parameters: Unpack[Parameters],
    ) -> ChatCompletion:
        """Answer a conversation; a string is one turn of the user."""
        return self._connection.answer(calls.chat(messages, model, parameters, terms))

    def stream_chat(
        self,
        messages: str | Sequence[Mapping[str, str]],
        model: str,
        *,
        terms: Terms = NO_TERMS,
        resume: bool = False,
        **parameters: Unpack[Parameters],
    ) -> Stream:
        """The same as it is written."""
        return self._stream(calls.chat(messages, model, parameters, terms), resume)

    def complete(
        self,
        prompt: str,
        model: str,
        *,
        suffix: str | None = None,
        terms: Terms = NO_TERMS,
        **parameters: Unpack[Parameters],
    ) -> Completion:
        """Continue a prompt or, with a ``suffix``, write what stands between the two."""
        return self._connection.answer(calls.completion(prompt, model, suffix, parameters, terms))

    def stream_completion(
        self,
        prompt: str,
        model: str,
        *,
        suffix: str | None = None,
        terms: Terms = NO_TERMS,
        resume: bool = False,
        **parameters: Unpack[Parameters],
    ) -> Stream:
        """The same as it is written."""
        return self._stream(calls.completion(prompt, model, suffix, parameters, terms), resume)

    def infill(
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
        return self._connection.answer(calls.infill(template, model, hole, hole_tokens, parameters, terms))

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
    ) -> Stream:
        """The same as it is written."""
        return self._stream(calls.infill(template, model, hole, hole_tokens, parameters, terms), resume)

    def resumed(self, id: str, after: int = 0) -> Stream:
        """The stream of a stored request behind frame ``after``, by the id of its answer."""
        return Stream(self._connection, calls.stream_of(id, after), StreamReader(id, after), resumes=True)

    def models(self) -> ModelList:
        """The models that the key may use."""
        return self._connection.answer(calls.models())

    def model(self, id: str) -> Model:
        """One of them."""
        return self._connection.answer(calls.model(id))

    def request(self, id: str) -> RequestRecord:
        """What is known of a request, by the id of its answer."""
        return self._connection.answer(calls.request(id))

    def cancel(self, id: str) -> RequestRecord:
        """End a request if it runs; its canvas is free within one step."""
        return self._connection.answer(calls.cancel(id))

    def usage(self, start: str | None = None, end: str | None = None) -> UsageReport:
        """The tenant's usage by UTC day and model, from the day ``start`` to the day ``end`` (``YYYY-MM-DD``)."""
        return self._connection.answer(calls.usage(start, end))

    def _stream(self, call: Call[Any], resume: bool) -> Stream:
        return Stream(self._connection, calls.streamed(call, stored=resume), StreamReader(), resumes=resume)
