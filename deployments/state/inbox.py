"""Messages between gateways: a stream for each one, read by nobody else."""

from __future__ import annotations

from deployments.state import scripts
from deployments.state.client import Clients, wait_for_entry
from deployments.state.keys import inbox_key

TTL_SECONDS = 300
"""A gateway that reads none of its messages for so long is gone."""


class Inbox:
    """Delivers each message at least once and in order; of more than ``max_messages``, the oldest are dropped."""

    def __init__(self, clients: Clients, max_messages: int) -> None:
        self._clients, self._max_messages = clients, max_messages

    async def send(self, owner: str, message: str) -> None:
        await self._clients.state.run(scripts.SEND, [inbox_key(owner)], TTL_SECONDS, self._max_messages, message)

    async def receive(self, owner: str, wait_seconds: float) -> tuple[str, ...]:
        """The messages that are there, or that come within ``wait_seconds``; they are gone then."""
        stream = inbox_key(owner)
        found = await self._messages(stream)
        if not found and wait_seconds > 0:
            await wait_for_entry(self._clients.followers, stream, "0-0", wait_seconds)
            found = await self._messages(stream)
        if found:
            await self._clients.state.call("XDEL", stream, *found)
        return tuple(found.values())

    async def _messages(self, stream: str) -> dict[bytes, str]:
        """Messages by the ids of their entries."""
        entries = await self._clients.state.call("XRANGE", stream, "-", "+")
        return {id: fields[b"message"].decode() for id, fields in entries}
