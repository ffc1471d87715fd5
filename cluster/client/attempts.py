"""The attempts at one call: what came of each, and whether there is another one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from cluster.client.calls import Call, stream_of
from cluster.client.errors import ClientError, ConnectionFailed, error_of
from cluster.client.reading import StreamReader
from cluster.client.retries import Failure, RetryPolicy, told_wait

Clock = Callable[[], float]
Draw = Callable[[], float]

UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures before the service can have seen anything of a request."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What retries depend on: the policy, Unix time in seconds, and random numbers in [0, 1)."""

    policy: RetryPolicy = field(default_factory=RetryPolicy)
    clock: Clock = time.time
    draw: Draw = random.random


class Attempts:
    """Counts the failed attempts at ``call``."""

    def __init__(self, call: Call[Any], surroundings: Surroundings) -> None:
        self.call = call
        self._surroundings = surroundings
        self._failed = 0

    def lost(self, error: httpx.RequestError) -> float:
        """The wait behind an attempt without a whole answer. Raises :class:`ConnectionFailed` when it was the last."""
        told = ConnectionFailed(f"{error.request.url.host} gave no whole answer: {str(error) or type(error).__name__}")
        told.__cause__ = error
        return self._wait(Failure(None, {}, self.call.is_harmless or isinstance(error, UNSENT)), told)

    def refused(self, response: httpx.Response) -> float:
        """The wait behind an answer that tells of a failure. Raises what it tells when it was the last."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            body = response.json()
        except ValueError:
            body = None
        error = error_of(body, response.status_code, told_wait(headers, self._surroundings.clock()))
        return self._wait(Failure(response.status_code, headers), error)

    def _wait(self, failure: Failure, error: ClientError) -> float:
        around = self._surroundings
        wait = around.policy.wait(self._failed, failure, around.clock(), around.draw())
        if wait is None:
            raise error
        self._failed += 1
        return wait


class StreamCourse:
    """One stream over all its connections. Cuts without anything new between them count as attempts at one call."""

    def __init__(self, surroundings: Surroundings, reader: StreamReader, *, resumes: bool) -> None:
        self.reader = reader
        self._surroundings, self._resumes = surroundings, resumes
        self._cuts: Attempts | None = None
        self._behind = reader.last

    def cut(self, error: httpx.RequestError) -> tuple[Call[Any], float]:
        """The call that brings the rest, and the wait before it. Raises :class:`ConnectionFailed`."""
        reader = self.reader
        if not self._resumes or reader.answer_id is None:
            raise ConnectionFailed(f"The stream was cut off behind frame {reader.last}.") from error
        if self._cuts is None or reader.last > self._behind:
            self._cuts, self._behind = (
                Attempts(stream_of(reader.answer_id, reader.last), self._surroundings),
                reader.last,
            )
        reader.connect()
        return self._cuts.call, self._cuts.lost(error)
