"""One engine in a thread of its own, and coroutines that hand it requests and wait for their events.

The engine is single-threaded, so every call on it is made by the thread: coroutines leave commands in a queue which
it empties between two steps. A request that is left is therefore gone within one step.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deployments.errors import Draining, InternalError, InvalidRequest, QueueFull, ServingError
from dllm_worker.request import Event, Finish, Request, RequestError

if TYPE_CHECKING:
    from dllm_worker.engine import Engine, EngineStats

logger = logging.getLogger(__name__)

Delivery = tuple[Event, ...] | Exception


@dataclass(slots=True)
class _Mailbox:
    """Where one request's coroutine waits. Only its own loop touches ``deliveries``."""

    loop: asyncio.AbstractEventLoop
    deliveries: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)
    admitted: bool = False

    def put(self, delivery: Delivery) -> None:
        self.loop.call_soon_threadsafe(self.deliveries.put_nowait, delivery)


class EngineThread:
    """Serves ``engine`` to any number of coroutines; at most ``max_waiting`` requests queue for a place in it."""

    def __init__(self, engine: Engine, max_waiting: int) -> None:
        self._engine, self._max_waiting = engine, max_waiting
        self._stats = engine.stats()
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._mailboxes: dict[str, _Mailbox] = {}
        self._lock = threading.Lock()
        self._ended = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether requests are taken and make progress."""
        return not self._ended

    def stats(self) -> EngineStats:
        """The engine's counters after its last step."""
        return self._stats

    async def generate(self, request: Request) -> AsyncGenerator[tuple[Event, ...]]:
        """First ``()`` when the request has a place in the batch, then its events step by step, ``Finish`` last.

        Raises ``InvalidRequest`` for what the model cannot run and ``QueueFull`` when too many wait. Closing the
        iterator early aborts the request. An engine that stops ends its requests with ``Draining``.
        """
        mailbox = _Mailbox(asyncio.get_running_loop())
        self._command(lambda: self._add(request, mailbox))
        finished = False
        try:
            while not finished:
                delivery = await mailbox.deliveries.get()
                if isinstance(delivery, Exception):
                    finished = True
                    raise delivery
                finished = any(isinstance(event, Finish) for event in delivery)
                yield delivery
        finally:
            if not finished:
                self._command(lambda: self._abort(request.id))

    def stop(self) -> None:
        """End the thread after its current step; requests that still run fail."""
        self._command(self._stop)
        self._thread.join()

    def _command(self, command: Callable[[], None]) -> None:
        """Have the thread run ``command``; once it has ended, commands run here, one at a time."""
        with self._lock:
            if self._ended:
                command()
            else:
                self._commands.put(command)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._obey()
                events = self._engine.step()
                self._stats = self._engine.stats()
                self._deliver(events)
                if not self._engine.has_work:
                    self._engine.check_integrity()
        except Exception:
            logger.exception("the engine failed")
        with self._lock:
            self._ended = True
            while not self._commands.empty():
                self._commands.get()()
        for mailbox in self._mailboxes.values():
            mailbox.put(self._refusal())

    def _obey(self) -> None:
        """Carry out all commands; without work, wait for the next one."""
        if not self._engine.has_work and not self._stopping:
            self._commands.get()()
        while not self._commands.empty():
            self._commands.get()()

    def _deliver(self, events: list[Event]) -> None:
        by_request: defaultdict[str, list[Event]] = defaultdict(list)
        for event in events:
            by_request[event.request_id].append(event)
        for request_id, mailbox in list(self._mailboxes.items()):
            if not mailbox.admitted and (request_id in by_request or self._engine.admitted(request_id)):
                mailbox.admitted = True
                mailbox.put(())
            if request_id in by_request:
                mailbox.put(tuple(by_request[request_id]))
        for event in events:
            if isinstance(event, Finish):
                del self._mailboxes[event.request_id]

    def _add(self, request: Request, mailbox: _Mailbox) -> None:
        if self._ended:
            mailbox.put(self._refusal())
            return
        if self._engine.stats().waiting >= self._max_waiting:
            mailbox.put(QueueFull(f"{self._max_waiting} requests wait already."))
            return
        try:
            self._engine.add(request)
        except RequestError as error:
            mailbox.put(InvalidRequest(str(error), parameter=error.parameter))
            return
        self._mailboxes[request.id] = mailbox

    def _abort(self, request_id: str) -> None:
        if self._mailboxes.pop(request_id, None) is not None:
            self._engine.abort(request_id)

    def _stop(self) -> None:
        self._stopping = True

    def _refusal(self) -> ServingError:
        """Why an engine that has ended takes and finishes no requests."""
        if self._stopping:
            return Draining("The replica is stopping.")
        return InternalError("The engine failed before the request was finished.")
