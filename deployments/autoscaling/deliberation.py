"""Where decisions are made: beside whoever asks for them, since an operator's own policy may take its time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from deployments.autoscaling.sample import Decision

Deciding = Callable[[], Decision | None]
"""Makes one decision, ``None`` when that failed. Raises nothing."""

Begin = Callable[[Deciding], "Future[Decision | None]"]
"""Has a decision made, and says when."""


def at_once(decide: Deciding) -> Future[Decision | None]:
    """Made by whoever asks."""
    future: Future[Decision | None] = Future()
    future.set_result(decide())
    return future


class DecidingThread:
    """Makes decisions one after the other in a daemon thread, which may hang: then there are none any more."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[tuple[Deciding, Future[Decision | None]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="autoscaling-decisions", daemon=True).start()

    def __call__(self, decide: Deciding) -> Future[Decision | None]:
        future: Future[Decision | None] = Future()
        self._asked.put((decide, future))
        return future

    def _run(self) -> None:
        while True:
            decide, future = self._asked.get()
            future.set_result(decide())
