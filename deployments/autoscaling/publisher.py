"""Tells of rounds where that may take its time: in a thread of its own, so that who decides never waits."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from deployments.autoscaling.conductor import Round

logger = logging.getLogger(__name__)

MOST_WAITING = 256
"""Rounds that wait to be told; behind them, the oldest are not told."""


class Publisher:
    """A daemon thread that hands each round to every one of ``readers``. What one of them raises is logged."""

    def __init__(self, *readers: Callable[[Round], None]) -> None:
        self._readers = readers
        self._rounds: queue.Queue[Round] = queue.Queue(MOST_WAITING)
        threading.Thread(target=self._run, name="autoscaling-publisher", daemon=True).start()

    def tell(self, told: Round) -> None:
        """Have it told soon. Does not wait."""
        while True:
            try:
                self._rounds.put_nowait(told)
            except queue.Full:
                self._drop_oldest()
            else:
                return

    def wait(self) -> None:
        """Wait until all is told."""
        self._rounds.join()

    def _drop_oldest(self) -> None:
        try:
            self._rounds.get_nowait()
        except queue.Empty:
            return
        self._rounds.task_done()

    def _run(self) -> None:
        while True:
            told = self._rounds.get()
            for reader in self._readers:
                try:
                    reader(told)
                except Exception:
                    logger.exception("a round of autoscaling is not told")
            self._rounds.task_done()
