"""How a cluster is told to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """The first SIGINT or SIGTERM, which raises ``KeyboardInterrupt``; later ones leave the clean-up alone."""

    def __init__(self) -> None:
        self._arrived = False

    def wait(self) -> None:
        """Raises ``KeyboardInterrupt`` when a signal arrives, or has arrived in code that swallowed its exception."""
        if self._arrived:
            raise KeyboardInterrupt
        signal.pause()

    def arrive(self, _number: int, _frame: FrameType | None) -> None:
        """The signal handler."""
        if not self._arrived:
            self._arrived = True
            raise KeyboardInterrupt


@contextmanager
def until_interrupted() -> Iterator[Interruption]:
    """The block ends at the first SIGINT or SIGTERM, wherever it is."""
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    interruption = Interruption()
    try:
        for number in STOP_SIGNALS:
            signal.signal(number, interruption.arrive)
        yield interruption
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
