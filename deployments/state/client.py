"""Calls to a server that speaks the Redis protocol, each of which ends within a time that is known beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError

from deployments.state.measured import measured
from deployments.state.script import Script
from deployments.state.store import StateUnavailable
from deployments.telemetry.names import REDIS_UP
from deployments.telemetry.observation import Telemetry

Argument = str | bytes | float

DISCOVERY_SECONDS = 2.0
"""The longest that the discovery of a cluster may take, which comes before the first call."""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How a client calls. ``timeout_seconds`` is for a connection, and again for an answer.

    ``places`` is the number of calls at one time; the others wait, where the client library would refuse them.
    """

    timeout_seconds: float
    places: int = 64
    retries: int = 1
    retry_wait_seconds: float = 0.02

    @property
    def limit_seconds(self) -> float:
        """The longest that a call can take, its wait for a place included, once the place of the data is known."""
        return (self.retries + 1) * 2 * self.timeout_seconds + self.retries * self.retry_wait_seconds


class Client:
    """A pool of connections. What goes wrong on the way is :class:`StateUnavailable`."""

    def __init__(
        self,
        redis: Redis | RedisCluster,
        settings: CallSettings,
        companions: Sequence[Redis] = (),
        telemetry: Telemetry | None = None,
    ) -> None:
        """``companions`` are clients that ``redis`` uses, and that end with it."""
        self._redis, self._companions, self._telemetry = redis, companions, telemetry or Telemetry()
        self._limit = settings.limit_seconds
        self._places = asyncio.Semaphore(settings.places)

    async def call(self, *command: Argument) -> Any:
        """The answer to one command. Calls may be repeated, so that a command must bear it."""
        with measured(str(command[0]).lower(), self._telemetry):
            return await self._send(*command)

    async def wait(self, *command: Argument) -> Any:
        """The answer to a command that the server holds back until there is news, so that its time says nothing."""
        return await self._send(*command)

    async def run(self, script: Script, keys: Sequence[str], *arguments: Argument) -> Any:
        """The answer to a script. It is sent whole, for servers that forbid ``SCRIPT LOAD`` or lose their scripts."""
        with measured(script.op, self._telemetry):
            return await self._send("EVAL", script.text, len(keys), *keys, *arguments)

    async def _send(self, *command: Argument) -> Any:
        try:
            async with asyncio.timeout(DISCOVERY_SECONDS):
                await self._redis.initialize()
            async with asyncio.timeout(self._limit), self._places:
                answer = await _uncancelled(self._redis.execute_command(*command))
        except (RedisError, OSError) as error:
            self._telemetry.metrics.record(REDIS_UP, 0)
            raise StateUnavailable(f"the state store does not answer: {type(error).__name__}") from error
        self._telemetry.metrics.record(REDIS_UP, 1)
        return answer

    async def close(self) -> None:
        for redis in (self._redis, *self._companions):
            await redis.aclose()


async def _uncancelled(call: Awaitable[Any]) -> Any:
    """The answer, unless the caller is cancelled meanwhile: what the client library sends with loses a cancellation
    that comes when the bytes have just been sent (github.com/python/cpython/issues/86296).
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    answer = await call
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return answer


@dataclass(frozen=True, slots=True)
class Clients:
    """A store's clients, each with connections of its own: none waits behind the calls of another.

    ``admission`` is for calls that a client waits for before its request begins, ``state`` for those beside a running
    request, and ``followers`` for reads that wait for something to be written.
    """

    admission: Client
    state: Client
    followers: Client

    async def close(self) -> None:
        for client in (self.admission, self.state, self.followers):
            await client.close()


BLOCK_SECONDS = 4.0
"""The longest that the server is asked to hold back one answer."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How each of the :class:`Clients` calls. Followers are many, and their answers late."""

    admission: CallSettings = CallSettings(timeout_seconds=0.1)
    state: CallSettings = CallSettings(timeout_seconds=0.5)
    followers: CallSettings = CallSettings(timeout_seconds=BLOCK_SECONDS + 1.0, places=512)


async def wait_for_entry(followers: Client, stream: str, after: str, wait_seconds: float) -> None:
    """Return when the stream has an entry behind the one with the id ``after``, or when the time is over."""
    left = wait_seconds
    while left > 0:
        block = min(left, BLOCK_SECONDS)
        milliseconds = max(1, round(block * 1000))
        if await followers.wait("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", stream, after):
            return
        left -= block
