"""One engine in a thread of its own, and coroutines that hand it runs and wait for what becomes of them.

The engine is single-threaded, so every call on it is made by the thread: coroutines leave commands in a queue which
it empties between two steps. A request that is left is therefore gone within one step. What the thread has to say it
puts into mailboxes; the bytes of checkpoints are written by those who read them.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from deployments.activity.estimate import Executed
from deployments.errors import InternalError
from deployments.replica.figures import Rate, figures_of
from deployments.replica.mailbox import Mailbox
from deployments.replica.messages import Messages
from deployments.replica.runs import Runs
from deployments.replica.step_spans import StepSpans
from deployments.run import Figures, Progress, Run
from dllm_worker.interface import CheckpointError, EngineStats, Portable, StepEngine

logger = logging.getLogger(__name__)

FIGURES_SECONDS = 0.25
"""The least time between two looks at the engine's load."""


@dataclass(frozen=True, slots=True)
class ThreadSettings:
    """``max_waiting`` requests queue for a place in the engine. A running one gives a checkpoint each
    ``checkpoint_every`` of its denoising steps, and its reader hears something each ``heartbeat_seconds`` while steps
    are made. An engine whose step takes longer than ``stall_seconds`` is ill. ``replica`` is its name to others.
    """

    max_waiting: int = 256
    checkpoint_every: int = 4
    heartbeat_seconds: float = 1.0
    stall_seconds: float = 10.0
    replica: str = ""


@dataclass(frozen=True, slots=True)
class Clocks:
    """``now`` is Unix time, by which deadlines are; ``monotonic`` measures steps; ``sleep`` paces heartbeats."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class EngineThread:
    """Serves ``engine`` to any number of coroutines; its steps are told to ``spans``, where there are any."""

    def __init__(
        self,
        engine: StepEngine[Any],
        settings: ThreadSettings | None = None,
        clocks: Clocks | None = None,
        spans: StepSpans | None = None,
    ) -> None:
        self._engine, self._spans = engine, spans
        self._settings, self._clocks = settings or ThreadSettings(), clocks or Clocks()
        self._stats, self._rate = engine.stats(), Rate()
        self._figures, self._looked = figures_of(engine.load(), 0.0), self._clocks.monotonic()
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._runs = Runs(engine, self._settings.max_waiting, self._settings.checkpoint_every)
        self._lock = threading.Lock()
        self._ended = self._stopping = False
        self._turns = 0
        self._busy_since: float | None = None
        self._executed = Executed(self._stats.flops, self._clocks.monotonic())
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether requests are taken and make progress."""
        busy_since = self._busy_since
        hangs = busy_since is not None and self._clocks.monotonic() - busy_since > self._settings.stall_seconds
        return not (self._ended or hangs)

    def stats(self) -> EngineStats:
        """The engine's counters after its last step."""
        return self._stats

    def figures(self) -> Figures:
        """What this replica says of itself; equal ones are the same object."""
        return self._figures

    def executed(self) -> Executed:
        """What was executed up to the step that is under way, or up to now."""
        executed = self._executed
        return Executed(self._stats.flops, self._clocks.monotonic()) if self._busy_since is None else executed

    @property
    def lag(self) -> float:
        """Seconds for which a step is under way, of which the counters do not tell yet."""
        busy_since = self._busy_since
        return 0.0 if busy_since is None else self._clocks.monotonic() - busy_since

    async def generate(self, run: Run) -> AsyncGenerator[Progress]:
        """The messages of ``run``, the first at once; the last one has a ``Finish`` or is ``parked``.

        Raises ``InvalidRequest`` for what the model cannot run, ``Overloaded`` when too many wait, ``DeadlineExceeded``
        for a request that was not begun before its deadline, ``ReplicaLost`` when the engine fails and ``Draining``
        when it takes no more. Closing the iterator early aborts the request.
        """
        checkpoint = None if run.checkpoint is None else self._read(run.checkpoint)
        mailbox, ended = Mailbox(), False
        self._command(lambda: self._runs.add(run, checkpoint, mailbox))
        heart = asyncio.create_task(self._beat(mailbox))
        messages = Messages(self._settings.replica, self.figures, self._clocks.monotonic)
        try:
            while not ended:
                news = await mailbox.take()
                ended = news.last
                if news.events or news.parked or news.error is None:
                    yield await messages.of(news)
                if news.error is not None:
                    raise news.error
        finally:
            heart.cancel()
            if not ended:
                self._command(lambda: self._runs.abort(run.request.id, mailbox))

    def drain(self) -> None:
        """Park whatever runs or waits after the current step, so that it can go on elsewhere, and take no more."""
        self._command(self._runs.drain)

    def stop(self) -> None:
        """Drain, and end the thread."""
        self._command(self._runs.drain)
        self._command(self._stop)
        self._thread.join()

    def _read(self, data: bytes) -> Portable:
        try:
            checkpoint: Portable = self._engine.read_checkpoint(data)
        except CheckpointError as error:
            raise InternalError(f"The request cannot go on: {error}.") from error
        return checkpoint

    async def _beat(self, mailbox: Mailbox) -> None:
        """Tell the reader that the engine makes steps, as long as it does; one that has nothing to do is well."""
        while True:
            turns = self._turns
            await self._clocks.sleep(self._settings.heartbeat_seconds)
            if self._turns != turns or self._busy_since is None:
                mailbox.beat()

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
                self._turn()
        except Exception:
            logger.exception("the engine failed")
        with self._lock:
            self._ended, self._busy_since = True, None
            while not self._commands.empty():
                self._commands.get()()
            self._runs.fail()

    def _obey(self) -> None:
        """Carry out all commands; without work, wait for the next one."""
        if not self._engine.has_work and not self._stopping:
            self._look()
            self._busy_since = None
            self._commands.get()()
        now = self._clocks.monotonic()
        self._executed, self._busy_since = Executed(self._stats.flops, now), now
        while not self._commands.empty():
            self._commands.get()()

    def _turn(self) -> None:
        now = self._clocks.now()
        self._runs.meet_deadlines(now)
        started, before = self._clocks.monotonic(), self._stats
        events = self._engine.step()
        self._stats = self._engine.stats()
        ended = self._clocks.monotonic()
        if self._stats.position_forwards > before.position_forwards:
            self._rate.count(self._stats.position_forwards - before.position_forwards, ended - started)
        if self._spans is not None and self._stats.steps > before.steps:
            self._spans.tell(now, now + ended - started, before, self._stats, self._runs.traces)
        self._runs.deliver(events, started, ended)
        self._turns += 1
        if ended - self._looked >= FIGURES_SECONDS:
            self._look()
        if not self._engine.has_work:
            self._engine.check_integrity()

    def _look(self) -> None:
        """See what the engine has before it."""
        figures = figures_of(self._engine.load(), self._rate.value)
        self._figures = self._figures if figures == self._figures else figures
        self._looked = self._clocks.monotonic()

    def _stop(self) -> None:
        self._stopping = True
