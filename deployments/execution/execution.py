"""One request, from its first run to its end, whatever becomes of the replicas, the store and its readers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from deployments.errors import InternalError, ReplicaLost, RequestCancelled, ServingError, TakenOver
from deployments.execution.entries import Cancelled, Committed, Completed, End, Failed, encode_entry
from deployments.execution.failover import Failover
from deployments.execution.journal import Clock, Ending, Journal
from deployments.gateway.assembler import Assembler, Done, Output
from deployments.gateway.canvas import CanvasFrame
from deployments.gateway.usage import usage_json
from deployments.gateway.writer import Delta
from deployments.run import Progress, Run
from deployments.telemetry.spans import detached
from deployments.tenancy.ledger.records import entry_of
from dllm_worker.request import Commit, Event, Usage

if TYPE_CHECKING:
    from deployments.execution.sight import Sight
    from deployments.gateway.model import Model
    from deployments.gateway.plan import Plan
    from deployments.state.record import RequestRecord
    from deployments.state.store import RequestKey
    from deployments.tenancy.account import Account

logger = logging.getLogger(__name__)

RUNS_PER_EPOCH = 1 << 16
"""Runs that one gateway makes of a request have successive epochs; those of the next lease are all higher."""

Sleep = Callable[[float], Awaitable[None]]

Told = tuple[Output, ...] | ServingError


@dataclass(frozen=True, slots=True)
class Work:
    """A request as it is accepted: its record, and how its model answers it."""

    record: RequestRecord
    model: Model
    plan: Plan


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier gateway did of a request: the entries that it logged and the last checkpoint."""

    entries: tuple[Committed, ...] = ()
    checkpoint: bytes | None = None


class Execution:
    """Runs a request, when its turn has come, again and again until it ends, and tells those who follow it.

    Committed text comes once and in order, however often the request changes its replica: a checkpoint is never
    behind the commits that came with it, and what a run repeats all the same is dropped.
    """

    def __init__(
        self,
        work: Work,
        account: Account,
        journal: Journal,
        failover: Failover,
        clock: Clock,
        sight: Sight,
        *,
        past: Past | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        past = past or Past()
        self._work, self.account = work, account
        self._journal, self._failover = journal, failover
        self._clock, self._sight, self._sleep = clock, sight, sleep
        self._assembler = Assembler(work.plan, work.model.text, work.model.description.spec)
        self._outputs: list[Output] = []
        self._committed: list[int] = []
        self._readers: WeakSet[asyncio.Queue[Told]] = WeakSet()
        self._error: ServingError | None = None
        self._verdict: ServingError | None = None
        self._admitted = bool(past.entries)
        self._is_closed = False
        self._spent = Usage()
        self._replica = ""
        for entry in past.entries:
            self._assembler.push([Commit(self.key.id, 0, 0, entry.start, entry.tokens)])
            self._outputs += entry.deltas
            self._committed += entry.tokens
        first = work.record.epoch * RUNS_PER_EPOCH
        self._run = Run(work.plan.request, first, past.checkpoint, len(self._committed), affinity=work.plan.affinity)
        journal.on_lost = self._lose
        if work.record.epoch > 1:
            sight.taken_over(self._run)
        # In the context of the call that asked for it, it would be cancelled with that call.
        context = detached(sight.observation.context)
        self._task = asyncio.create_task(self._execute(), name=f"execution of {self.key.id}", context=context)

    @property
    def key(self) -> RequestKey:
        return self._work.record.key

    @property
    def degraded(self) -> bool:
        """Whether the store lags behind."""
        return self._journal.degraded

    @property
    def has_ended(self) -> bool:
        return self._task.done()

    def on_end(self, act: Callable[[], object]) -> None:
        """Have ``act`` called when the request is over here."""
        self._task.add_done_callback(lambda _: act())

    def renew(self) -> None:
        """Prolong the lease."""
        self._journal.renew()

    def follow(self, *, drafts: bool = False) -> AsyncGenerator[tuple[Output, ...]]:
        """All outputs from the first one on, the first time when a replica has admitted the request; canvas frames
        from this call on, and only with ``drafts``. The iterator raises the error that ends the request.
        """
        news: asyncio.Queue[Told] = asyncio.Queue()
        self._readers.add(news)
        if self._admitted:
            news.put_nowait(tuple(self._outputs))
        if self._error is not None:
            news.put_nowait(self._error)
        return _read(news, drafts=drafts)

    async def cancel(self) -> None:
        """End the request for its tenant; its canvas is free within one step."""
        await self._stop(RequestCancelled())

    async def release(self) -> None:
        """Stop running it here, so that another gateway can go on with it."""
        await self._stop(None)
        await self._journal.release()

    async def ended(self) -> None:
        """Wait for the end."""
        await asyncio.wait({self._task})

    async def _stop(self, verdict: ServingError | None) -> None:
        """A task that has not begun could not clean up behind itself, so it begins first; one that ends may do so."""
        await asyncio.sleep(0)
        if not self._is_closed:
            self._verdict = self._verdict or verdict
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _execute(self) -> None:
        try:
            with self._sight.queueing():
                await self.account.turn()
            while not self._assembler.done:
                try:
                    await self._attempt()
                except ServingError as error:
                    await self._recover(error)
        except asyncio.CancelledError:
            if self._verdict is None:
                self._sight.released()
            else:
                await self._fail(self._verdict)
            raise
        except ServingError as error:
            await self._fail(error)
        except Exception as error:
            asked = self._work.record.parameters.get("request_id", "")
            logger.error("request %s, asked for as %s, failed", self.key.id, asked, exc_info=error)
            await self._fail(InternalError())

    async def _attempt(self) -> None:
        """One run: until the answer is whole, or the request had better go on elsewhere."""
        self._replica = ""
        with self._sight.attempt(self._run) as run:
            async with aclosing(self._work.model.pool.generate(run)) as messages:
                async for progress in messages:
                    await self._take(progress)
                    if self._assembler.done:
                        return
                    if progress.parked or self._had_better_move(progress):
                        self._sight.moves(self._run)
                        self._run = self._next_run(avoid=())
                        return
            raise ReplicaLost("The replica went silent before the request was finished.")

    def _had_better_move(self, progress: Progress) -> bool:
        pool = self._work.model.pool
        return bool(self._replica) and pool.should_move(self._run, self._replica, boundary=progress.boundary)

    async def _recover(self, error: ServingError) -> None:
        wait = self._failover.wait(error, self._clock(), admitted=self._admitted)
        logger.info("request %s goes on elsewhere after %r", self.key.id, error)
        self._sight.moves(self._run, error)
        if wait:
            await self._sleep(wait)
        self._run = self._next_run(avoid=(self._replica,) if self._replica else ())

    def _next_run(self, avoid: tuple[str, ...]) -> Run:
        return replace(self._run, epoch=self._run.epoch + 1, avoid=avoid)

    async def _take(self, progress: Progress) -> None:
        self._replica = progress.replica or self._replica
        self._sight.heard(progress)
        if progress.admitted and not self._admitted:
            self._admitted = True
            self._journal.run()
            self._publish(())
        for event in progress.events:
            if not self._assembler.done:
                await self._enter(event, progress.checkpoint)
        if progress.checkpoint is not None:
            self._run = replace(self._run, checkpoint=progress.checkpoint, committed=len(self._committed))
            self._failover.progressed()
        if not progress.events and progress.checkpoint is not None:
            self._journal.save(progress.checkpoint)

    async def _enter(self, event: Event, checkpoint: bytes | None) -> None:
        """One event becomes outputs, and what is final of it an entry."""
        fresh = self._unseen(event) if isinstance(event, Commit) else event
        if fresh is None:
            return
        outputs = self._assembler.push([fresh])
        deltas = tuple(output for output in outputs if isinstance(output, Delta))
        done = outputs[-1] if outputs and isinstance(outputs[-1], Done) else None
        if isinstance(fresh, Commit):
            self._committed += fresh.tokens
            self._spent = fresh.usage
            self._sight.committed(fresh)
            entry = Committed(fresh.start, fresh.tokens, deltas)
            self._journal.enter(encode_entry(entry), checkpoint)
            deltas = ()
        ending = None if done is None else Ending("completed", done.reason, usage_json(done))
        if done is not None and ending is not None:
            self._sight.finished(done)
            await self._close(Completed(done, deltas), ending)
        self._outputs += (output for output in outputs if not isinstance(output, CanvasFrame))
        if outputs:
            self._publish(outputs)
        if ending is not None:
            await self._pay(ending)

    def _unseen(self, commit: Commit) -> Commit | None:
        """The part of ``commit`` that has not been told, or ``None``."""
        known = len(self._committed) - commit.start
        if known < 0:
            raise InternalError("a replica left a gap in the answer")
        if self._committed[commit.start :][: len(commit.tokens)] != list(commit.tokens[:known]):
            raise InternalError("a replica changed committed tokens")
        tokens = commit.tokens[known:]
        return replace(commit, start=commit.start + known, tokens=tokens) if tokens else None

    async def _fail(self, failure: ServingError) -> None:
        self._sight.failed(failure)
        if isinstance(failure, RequestCancelled):
            ending = Ending("cancelled", usage=self._so_far())
            await self._close(Cancelled(), ending)
        else:
            ending = Ending("failed", error_code=failure.code)
            await self._close(Failed.of(failure), ending)
        self._error = failure
        self._publish(failure)
        if not self._journal.is_fenced:
            await self._pay(ending)

    def _so_far(self) -> dict[str, Any] | None:
        """What a request has used that ends here: the work up to its last commit, or nothing."""
        if not self._committed:
            return None
        prompt, committed = len(self._work.plan.request.prompt), len(self._committed)
        return usage_json(Done("stop", prompt, committed, self._spent))

    async def _pay(self, ending: Ending) -> None:
        ended = replace(self._work.record, updated_at=self._clock(), **asdict(ending))
        self._sight.paid(entry_of(ended))
        await self.account.close(ended)

    async def _close(self, entry: End, ending: Ending) -> None:
        """Write the end. Raises :class:`TakenOver` when that is for another gateway to tell, and to bill."""
        self._is_closed = True
        self._journal.enter(encode_entry(entry))
        await self._journal.close(ending)
        if self._journal.is_fenced and ending.status == "completed":
            raise TakenOver

    def _publish(self, told: Told) -> None:
        for reader in self._readers:
            reader.put_nowait(told)

    def _lose(self, error: ServingError) -> None:
        """The store takes no more of this request; one that has been answered is none the worse for it."""
        if not self._is_closed:
            self._verdict = self._verdict or error
            self._task.cancel()


async def _read(news: asyncio.Queue[Told], *, drafts: bool) -> AsyncGenerator[tuple[Output, ...]]:
    done = False
    while not done:
        told = await news.get()
        if isinstance(told, ServingError):
            raise told
        done = bool(told) and isinstance(told[-1], Done)
        wanted = told if drafts else tuple(output for output in told if not isinstance(output, CanvasFrame))
        if wanted or not told:
            yield wanted
