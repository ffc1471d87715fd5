"""How many gateways there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from deployments.state.client import Client
from deployments.state.script import Script
from deployments.state.store import StateUnavailable

logger = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

GATEWAYS = "dllm:gateways"

ANNOUNCE_SECONDS = 5.0
GONE_SECONDS = 15.0
"""A gateway that announces nothing for so long is gone."""

# KEYS: the gateways, by when each is gone. ARGV: time in milliseconds or nothing for the server's, milliseconds until
# it is gone, gateway. Answers how many there are.
_ANNOUNCE = Script(
    "presence.announce",
    """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], math.ceil(ARGV[2] / 1000))
return redis.call('ZCARD', KEYS[1])
""",
)


class Presence:
    """Announces the gateway ``owner`` to the others. Without a ``clock``, in Unix seconds, the server's time counts.

    ``count`` is how many gateways there were when the store last answered, this one among them.
    """

    def __init__(
        self,
        client: Client,
        owner: str,
        clock: Callable[[], float] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._client, self._owner, self._clock, self._sleep = client, owner, clock, sleep
        self.count = 1

    async def announce(self) -> None:
        """Say that this gateway is there, and count. Raises :class:`StateUnavailable`."""
        now = "" if self._clock is None else int(self._clock() * 1000)
        found = await self._client.run(_ANNOUNCE, [GATEWAYS], now, round(GONE_SECONDS * 1000), self._owner)
        self.count = max(1, found)

    async def leave(self) -> None:
        """Say that this gateway is gone; should nobody hear it, its silence will tell."""
        try:
            await self._client.call("ZREM", GATEWAYS, self._owner)
        except StateUnavailable as error:
            logger.warning("the other gateways are not told that this one leaves: %s", error)

    async def serve(self) -> None:
        """Announce until cancelled. A store that fails is asked again."""
        try:
            while True:
                try:
                    await self.announce()
                except StateUnavailable as error:
                    logger.warning("the gateways cannot be counted, the last count was %d: %s", self.count, error)
                await self._sleep(ANNOUNCE_SECONDS)
        finally:
            await self.leave()
