"""From the news of a run to the messages that its gateway hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from deployments.replica.mailbox import News
from deployments.run import Figures, Progress
from dllm_worker.interface import Portable

REPEAT_SECONDS = 1.0
"""After this time figures that have not changed are sent again, to show that they still hold."""


class Messages:
    """Those to one reader. The first names the replica; figures come when they are others, or have grown old."""

    def __init__(self, replica: str, figures: Callable[[], Figures], clock: Callable[[], float]) -> None:
        self._replica, self._figures, self._clock = replica, figures, clock
        self._sent: Figures | None = None
        self._sent_at = 0.0

    async def of(self, news: News) -> Progress:
        """The message that says ``news``."""
        replica, self._replica = self._replica, ""
        return Progress(
            events=tuple(news.events),
            checkpoint=None if news.checkpoint is None else await _bytes_of(news.checkpoint),
            admitted=news.admitted,
            boundary=news.boundary,
            parked=news.parked,
            replica=replica,
            figures=self._due_figures(),
            canvases=tuple(news.canvases),
        )

    def _due_figures(self) -> Figures | None:
        figures, now = self._figures(), self._clock()
        if figures is self._sent and now - self._sent_at < REPEAT_SECONDS:
            return None
        self._sent, self._sent_at = figures, now
        return figures


async def _bytes_of(checkpoint: Portable) -> bytes:
    """A large checkpoint is written beside the loop, a small one takes less than the change of threads."""
    return await asyncio.to_thread(checkpoint.to_bytes) if checkpoint.is_large else checkpoint.to_bytes()
