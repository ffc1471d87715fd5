"""What a replica has to tell one reader. It is gathered while the reader is busy and taken as one message.

So a slow reader costs one message, however much has happened: it misses views of the canvas and old checkpoints, and
no commit and no time of a canvas.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from deployments.run import CanvasTimes
from dllm_worker.interface import Portable
from dllm_worker.request import Draft, Event


@dataclass(slots=True)
class News:
    """What has become of a run since its reader last looked.

    ``checkpoint`` is the latest one, and ``boundary`` says that it lies between two canvases. ``canvases`` are those
    that have ended. ``last`` news are the last ones, and ``error`` is how the run failed after them.
    """

    events: list[Event] = field(default_factory=list)
    checkpoint: Portable | None = None
    boundary: bool = False
    canvases: list[CanvasTimes] = field(default_factory=list)
    admitted: bool = False
    parked: bool = False
    last: bool = False
    error: Exception | None = None

    def add(self, events: Sequence[Event]) -> None:
        """Append ``events``; a view of a canvas replaces an older one that no commit has followed."""
        for event in events:
            if isinstance(event, Draft):
                self._forget_draft(event.canvas)
            self.events.append(event)

    def _forget_draft(self, canvas: int) -> None:
        for number in range(len(self.events) - 1, -1, -1):
            earlier = self.events[number]
            if not isinstance(earlier, Draft):
                return
            if earlier.canvas == canvas:
                del self.events[number]
                return


class Mailbox:
    """Written by any thread, read by one coroutine of the loop in which it was made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._news: News | None = None
        self._admitted = False
        self._arrived = asyncio.Event()
        self._taken = 0
        self._taken_at_beat = 0

    def put(
        self,
        events: Sequence[Event] = (),
        *,
        checkpoint: Portable | None = None,
        boundary: bool = False,
        canvases: Sequence[CanvasTimes] = (),
        admitted: bool = False,
        parked: bool = False,
        last: bool = False,
        error: Exception | None = None,
    ) -> None:
        """Add to what the reader will take next."""
        with self._lock:
            sleeping = self._news is None
            news = self._news = self._news or News()
            news.add(events)
            news.canvases.extend(canvases)
            if checkpoint is not None:
                news.checkpoint, news.boundary = checkpoint, boundary
            self._admitted = news.admitted = self._admitted or admitted
            news.parked, news.last = news.parked or parked, news.last or last or error is not None
            news.error = news.error or error
        if sleeping:
            self._loop.call_soon_threadsafe(self._arrived.set)

    def beat(self) -> None:
        """Let the reader know that the engine is alive, unless it has heard something since the last time."""
        if self._taken == self._taken_at_beat:
            self.put()
        self._taken_at_beat = self._taken

    async def take(self) -> News:
        """All that was put since the last time; waits until there is something."""
        await self._arrived.wait()
        self._arrived.clear()
        with self._lock:
            news, self._news = self._news, None
        self._taken += 1
        if news is None:
            raise RuntimeError("the mailbox was opened and holds nothing")
        return news
