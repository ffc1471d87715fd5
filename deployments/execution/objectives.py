"""How many answers were as soon as their clients are to have them."""

from __future__ import annotations

from collections import Counter


class Objectives:
    """Answers of this gateway since its start that met their model's objective, and that missed it, by queue.

    The gateway's report to the autoscaler takes them from here: what it needs is how fast they grow.
    """

    def __init__(self) -> None:
        self._met: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()

    def count(self, queue: str, *, met: bool) -> None:
        """An answer has ended that had waited in ``queue``, a :func:`deployments.gateway.shared.queue_name`."""
        (self._met if met else self._missed)[queue] += 1

    def met(self, queue: str) -> int:
        """How many of ``queue`` met it."""
        return self._met[queue]

    def missed(self, queue: str) -> int:
        """How many of ``queue`` were late, or failed by the service."""
        return self._missed[queue]
