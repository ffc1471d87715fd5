"""Virtual time: what is to happen happens in order, and no time passes in between."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class VirtualClock:
    """``now`` is in seconds. Of what is due at the same time, the first that was asked for comes first."""

    now: float = 0.0
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _asked: int = 0

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have ``action`` happen that much later."""
        self._asked += 1
        heapq.heappush(self._due, (self.now + seconds, self._asked, action))

    def run(self) -> None:
        """Go on until nothing is due any more."""
        while self._due:
            self.now, _, action = heapq.heappop(self._due)
            action()
