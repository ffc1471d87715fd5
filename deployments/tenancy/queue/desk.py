"""Turns that are given in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from deployments.errors import ServingError
from deployments.tenancy.queue.fair_queue import VirtualCounterQueue

if TYPE_CHECKING:
    from deployments.tenancy.queue.fairness import Snapshot
    from deployments.tenancy.queue.queue import Waiting
    from deployments.tenancy.queue.turns import Clock, WaitingRoom


class Desk:
    """Keeps the queue of those in ``room``, and tells them."""

    def __init__(self, room: WaitingRoom, places: Callable[[], int], clock: Clock) -> None:
        self._room, self._places, self._clock = room, places, clock
        self._queue = VirtualCounterQueue()

    def take_over(self, running: Iterable[Waiting], waiting: Iterable[Waiting]) -> None:
        """Begin with these."""
        for request in running:
            self._queue.resume(request)
        for request in waiting:
            try:
                self._queue.enter(request, self._clock())
            except ServingError as error:
                self._room.refuse((request.id,), type(error))
        self.dispatch()

    def enter(self, request: Waiting) -> None:
        """As :meth:`VirtualCounterQueue.enter`."""
        self.dispatch()
        self._queue.enter(request, self._clock())
        self.dispatch()

    def check(self, request: Waiting) -> None:
        """As :meth:`VirtualCounterQueue.check`."""
        self._queue.check(request)

    def resume(self, request: Waiting) -> None:
        """As :meth:`VirtualCounterQueue.resume`."""
        self._queue.resume(request)

    def end(self, request: Waiting, spent: int) -> None:
        """As :meth:`VirtualCounterQueue.end`."""
        self._queue.end(request.id, spent)
        self.dispatch()

    def leave(self, request: Waiting) -> None:
        """As :meth:`VirtualCounterQueue.leave`."""
        self._queue.leave(request.id)
        self.dispatch()

    def dispatch(self) -> None:
        """Give the turns that can be given."""
        turns = self._queue.dispatch(self._places(), self._clock())
        self._room.give(request.id for request in turns.given)
        self._room.refuse(request.id for request in turns.late)

    def snapshot(self) -> Snapshot:
        """What the queue holds."""
        return self._queue.snapshot()

    def check_integrity(self) -> None:
        """Raise unless the queue is whole, and who waits in the room waits in it."""
        self._queue.check_integrity()
        if {request.id for request in self._room.waiting} != {request.id for request in self._queue.waiting}:
            raise RuntimeError("the queue holds others than those that wait for it")
