"""Faults that are asked for: refusals, lost connections, and requests that wait until they are let go."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

from tests.cluster.kubernetes.api_server.asked import Asked
from tests.cluster.kubernetes.api_server.status import ApiError

WAIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an error."""

    error: ApiError


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection without an answer, before the request is carried out or ``afterwards``."""

    afterwards: bool = False


class Hold:
    """Keep a request waiting until ``release``; ``arrived`` returns once it is there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived = threading.Event()
        self._released = asyncio.Event()

    def arrived(self) -> None:
        """Return when the request waits. A request that does not come is a TimeoutError."""
        if not self._arrived.wait(WAIT_SECONDS):
            raise TimeoutError("the request that was to be held did not come")

    def release(self) -> None:
        """Let the request go on."""
        self._loop.call_soon_threadsafe(self._released.set)

    async def wait(self) -> None:
        """What the server does with the request."""
        self._arrived.set()
        await self._released.wait()


@dataclass
class Fault:
    """What happens to the next ``times`` requests with a verb and a resource; ``*`` stands for any."""

    what: Refuse | Drop | Hold
    verb: str
    resource: str
    times: int

    def strikes(self, asked: Asked) -> bool:
        """Whether this request is one of them."""
        wanted = ((self.verb, asked.verb), (self.resource, asked.full_resource))
        return self.times > 0 and all(expected in ("*", found) for expected, found in wanted)


@dataclass
class Faults:
    """The faults to come, in the order in which they were asked for."""

    pending: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Add a fault behind the others."""
        self.pending.append(fault)

    def take(self, asked: Asked) -> Refuse | Drop | Hold | None:
        """What happens to this request, which uses the fault up by one."""
        for fault in self.pending:
            if fault.strikes(asked):
                fault.times -= 1
                return fault.what
        return None

    def release_all(self) -> None:
        """Let every request go that is held, or would be."""
        for fault in self.pending:
            if isinstance(fault.what, Hold):
                fault.what.release()
