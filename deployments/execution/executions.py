"""All requests that this gateway runs, and the way to those that others run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from deployments.errors import (
    GatewayLost,
    InternalError,
    ModelNotFound,
    RequestCancelled,
    ResponseNotFound,
    ServingError,
    TakenOver,
    Unavailable,
)
from deployments.execution.entries import Cancelled, Committed, Failed, decode_entry, encode_entry, outputs_of
from deployments.execution.execution import Execution, Past, Work
from deployments.execution.failover import Failover
from deployments.execution.journal import Clock, Journal
from deployments.execution.objectives import Objectives
from deployments.execution.plans import decode_plan, encode_plan
from deployments.execution.settings import ExecutionSettings
from deployments.execution.sight import Sight, observation_of
from deployments.gateway.assembler import Done, Output
from deployments.gateway.shared import queue_name
from deployments.gateway.writer import Delta
from deployments.state.store import Change, RequestKey, RequestStore, StateError, Unfinished
from deployments.telemetry.observation import Observation, Telemetry

if TYPE_CHECKING:
    from deployments.gateway.model import Model
    from deployments.tenancy.account import Account, Accounts

logger = logging.getLogger(__name__)

T = TypeVar("T")

TAKEOVERS_AT_ONCE = 16
FOLLOW_SECONDS = 5.0
RENEWALS_PER_LEASE = 3


class Executions:
    """``owner`` is this gateway's name among the others. Nothing is left in here of a request that has ended, but that
    it is counted in ``objectives``.
    """

    def __init__(
        self,
        store: RequestStore,
        models: Mapping[str, Model],
        accounts: Accounts,
        clock: Clock,
        owner: str,
        settings: ExecutionSettings | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._store, self._models, self._accounts = store, models, accounts
        self._clock, self._owner = clock, owner
        self._settings, self._telemetry = settings or ExecutionSettings(), telemetry or Telemetry()
        self.objectives = Objectives()
        self._running: dict[RequestKey, Execution] = {}

    async def start(self, work: Work, account: Account, observation: Observation | None = None) -> Execution:
        """Accept a request, for which ``account`` has reserved; what is seen of it is entered in ``observation``.

        Raises :class:`Unavailable` for a durable one that cannot be stored.
        """
        work = replace(work, record=replace(work.record, owner=self._owner))
        plan = encode_plan(work.plan) if work.record.durable else None
        journal = Journal(self._store, work.record, plan, self._clock, self._settings)
        await journal.open()
        return self._run(work, account, journal, Past(), observation)

    async def follow(self, key: RequestKey) -> AsyncGenerator[tuple[Output, ...]]:
        """The outputs of a request, from the first to the last, wherever it runs or ran; first ``()``, or all that
        there are, when a replica has admitted it. Raises :class:`ResponseNotFound`, and the error that ended it.
        """
        execution = self._running.get(key)
        async with aclosing(self._follow_log(key) if execution is None else self.tell(execution)) as source:
            async for outputs in source:
                yield outputs

    def tell(self, execution: Execution, *, drafts: bool = False) -> AsyncGenerator[tuple[Output, ...]]:
        """As :meth:`Execution.follow`; what another gateway takes over is told on from the log."""
        return self._tell(execution.key, execution.follow(drafts=drafts))

    async def cancel(self, key: RequestKey) -> bool:
        """Whether the request is cancelled, or about to be: by the gateway that has it, within one step; or here, if
        that one is gone.
        """
        execution = self._running.get(key)
        if execution is not None:
            await execution.cancel()
            return True
        record = await self._store.get(key)
        if record is None or record.has_ended:
            return False
        orphan = await self._acquire(key) if record.lease_until < self._clock() else None
        if orphan is None:
            await self._store.send(record.owner, f"{key.tenant} {key.id}")
        else:
            await self._bury(orphan, RequestCancelled())
        return True

    async def renew_leases(self) -> None:
        """Prolong the lease of every request that runs here, and of what is reserved for it."""
        for execution in self._running.values():
            execution.renew()
        await self._accounts.renew([execution.account for execution in self._running.values()])

    async def take_over(self) -> None:
        """Go on with durable requests whose gateway is gone, close the records of the others, and the accounts of
        those whose gateway was gone before it could.
        """
        for key in await self._store.expired(self._clock(), TAKEOVERS_AT_ONCE):
            unfinished = None if key in self._running else await self._acquire(key)
            if unfinished is not None:
                await self._adopt(unfinished)
            elif key not in self._running:
                await self.settle(key)

    async def settle(self, key: RequestKey) -> None:
        """Close the account of a request that has ended, if nobody has done so."""
        record = await self._store.get(key)
        if record is None:
            await self._store.settled(key)
        elif record.has_ended:
            await self._accounts.close(record)

    async def obey(self, wait_seconds: float) -> None:
        """Cancel what other gateways were asked to cancel, waiting for the first such message."""
        for message in await self._store.receive(self._owner, wait_seconds):
            tenant, _, id = message.partition(" ")
            execution = self._running.get(RequestKey(tenant, id))
            if execution is not None:
                await execution.cancel()

    async def serve(self) -> None:
        """Renew, take over, obey and bill until cancelled. A store that fails is asked again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._accounts.serve())
            group.create_task(self._repeat(self.renew_leases, self._settings.lease_seconds / RENEWALS_PER_LEASE))
            group.create_task(self._repeat(self.take_over, self._settings.takeover_seconds))
            group.create_task(self._repeat(lambda: self.obey(FOLLOW_SECONDS), 0.0))

    async def close(self) -> None:
        """Leave durable requests to other gateways and end the rest."""
        await asyncio.gather(*(execution.release() for execution in list(self._running.values())))

    def check_integrity(self) -> None:
        """Raise :class:`InternalError` when an execution has ended and is held all the same."""
        held = [key.id for key, execution in self._running.items() if execution.has_ended]
        if held:
            raise InternalError(f"ended requests are held: {', '.join(held)}")

    def _run(
        self, work: Work, account: Account, journal: Journal, past: Past, observation: Observation | None = None
    ) -> Execution:
        failover = Failover(self._settings.patience_seconds)
        sight = Sight(
            work,
            observation or observation_of(work.record),
            self._telemetry,
            self.objectives,
            self._clock,
            was_told=bool(past.entries),
        )
        execution = Execution(work, account, journal, failover, self._clock, sight, past=past)
        self._running[execution.key] = execution
        execution.on_end(lambda: self._running.pop(execution.key, None))
        return execution

    async def _acquire(self, key: RequestKey) -> Unfinished | None:
        now = self._clock()
        return await self._store.acquire(key, self._owner, now, now + self._settings.lease_seconds)

    async def _adopt(self, unfinished: Unfinished) -> None:
        record, model = unfinished.record, self._models.get(unfinished.record.model)
        if not unfinished.plan or model is None:
            await self._bury(unfinished, ModelNotFound() if unfinished.plan else GatewayLost())
            return
        try:
            entries = [decode_entry(data) for data in unfinished.entries]
            work = Work(replace(record, owner=self._owner), model, decode_plan(unfinished.plan))
            queue = queue_name(model.id, model.pool.canvas_class(work.plan.request))
        except ValueError:
            logger.exception("request %s was left by a gateway of another version", record.id)
            await self._bury(unfinished, GatewayLost())
            return
        logger.info("request %s is taken over", record.id)
        past = Past(tuple(entry for entry in entries if isinstance(entry, Committed)), unfinished.checkpoint)
        journal = Journal(self._store, work.record, unfinished.plan, self._clock, self._settings, unfinished.entries)
        journal.keep()
        self._run(work, self._accounts.resumed(record, queue), journal, past)

    async def _bury(self, unfinished: Unfinished, error: ServingError) -> None:
        """Close the record of a request that nobody runs."""
        record, cancelled = unfinished.record, isinstance(error, RequestCancelled)
        change = Change(
            self._clock(),
            after=len(unfinished.entries),
            entries=(encode_entry(Cancelled() if cancelled else Failed.of(error)),),
            status="cancelled" if cancelled else "failed",
            error_code=None if cancelled else error.code,
        )
        await self._store.write(record.key, record.epoch, change)
        await self.settle(record.key)

    async def _tell(
        self, key: RequestKey, live: AsyncGenerator[tuple[Output, ...]]
    ) -> AsyncGenerator[tuple[Output, ...]]:
        told = 0
        try:
            async with aclosing(live):
                async for outputs in live:
                    told += sum(len(output.text) for output in outputs if isinstance(output, Delta))
                    yield outputs
            return
        except TakenOver:
            logger.info("request %s is followed where it goes on", key.id)
        async with aclosing(self._follow_log(key)) as log:
            async for outputs in log:
                fresh = tuple(_behind(told, outputs))
                told = max(0, told - sum(len(output.text) for output in outputs if isinstance(output, Delta)))
                if fresh:
                    yield fresh

    async def _follow_log(self, key: RequestKey) -> AsyncGenerator[tuple[Output, ...]]:
        after, told = 0, False
        while True:
            record = await _read(self._store.get(key))
            if record is None:
                raise ResponseNotFound
            if not told and record.status != "queued":
                told = True
                yield ()
            if record.has_ended and record.entries <= after:
                raise InternalError("The answer of this request is not kept.")
            while log := await _read(self._store.entries(key, after, FOLLOW_SECONDS)):
                after += len(log)
                for entry in map(decode_entry, log):
                    outputs = outputs_of(entry)
                    yield outputs
                    if outputs and isinstance(outputs[-1], Done):
                        return

    async def _repeat(self, act: Callable[[], Awaitable[None]], pause: float) -> None:
        while True:
            try:
                await act()
            except StateError as error:
                logger.warning("the state store fails: %r", error)
                await asyncio.sleep(1.0)
            except Exception:
                logger.exception("the requests of all gateways are looked after again")
                await asyncio.sleep(1.0)
            await asyncio.sleep(pause)


async def _read(reading: Awaitable[T]) -> T:
    try:
        return await reading
    except StateError as error:
        raise Unavailable("The request cannot be read now.") from error


def _behind(characters: int, outputs: tuple[Output, ...]) -> Iterator[Output]:
    """``outputs`` without the first ``characters`` of their text."""
    for output in outputs:
        if not isinstance(output, Delta):
            yield output
        elif len(output.text) > characters:
            yield replace(output, text=output.text[characters:])
            characters = 0
        else:
            characters -= len(output.text)
