from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from deployments.state.store import RequestKey, StateUnavailable
from deployments.telemetry.metrics import MemoryMetrics, Metric
from deployments.telemetry.names import LEDGER_DROPPED, LEDGER_PENDING
from deployments.tenancy.ledger import biller as module
from deployments.tenancy.ledger.biller import AT_ONCE, RETRY_SECONDS, Biller
from deployments.tenancy.ledger.ledger import LedgerEntry
from deployments.tenancy.ledger.memory import MemoryLedger
from tests.deployments.tenancy.ledger.entries import DAY, ended, entry


class Watched(MemoryMetrics):
    """Metrics that say when nothing is pending any more."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing_pending = asyncio.Event()

    def record(self, metric: Metric, value: float, **labels: str) -> None:
        super().record(metric, value, **labels)
        if metric == LEDGER_PENDING and value == 0:
            self.nothing_pending.set()
        elif metric == LEDGER_PENDING:
            self.nothing_pending.clear()


@dataclass
class World:
    """A ledger that can be lost, an outbox, and a clock that only runs while the biller waits for the store."""

    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    metrics: Watched = field(default_factory=Watched)
    outbox: list[RequestKey] = field(default_factory=list)
    down: bool = False
    sick: set[str] = field(default_factory=set)
    half: bool = False
    waits: asyncio.Queue[asyncio.Event] = field(default_factory=asyncio.Queue)
    elapsed: float = 0.0

    def biller(self, most_pending: int = 100) -> Biller:
        return Biller(Losable(self), self.forget, self.metrics, most_pending=most_pending, sleep=self.sleep)

    async def forget(self, key: RequestKey) -> None:
        if self.down or self.half:
            raise StateUnavailable("the store is lost")
        self.outbox.append(key)

    async def sleep(self, seconds: float) -> None:
        self.elapsed += seconds
        over = asyncio.Event()
        self.waits.put_nowait(over)
        await over.wait()

    async def tick(self) -> None:
        """Let the wait under way be over."""
        (await self.waits.get()).set()

    async def entered(self) -> list[LedgerEntry]:
        return [each async for each in self.ledger.entries("acme", DAY, DAY)]


class Losable(MemoryLedger):
    """The ledger of a world."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def enter(self, entry: LedgerEntry) -> bool:
        await asyncio.sleep(0)
        if self._world.down:
            raise StateUnavailable("the store is lost")
        if entry.id in self._world.sick:
            raise OverflowError("too much")
        return await self._world.ledger.enter(entry)


@asynccontextmanager
async def serving(biller: Biller) -> AsyncIterator[None]:
    task = asyncio.create_task(biller.serve())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_ended_request_is_entered_and_leaves_the_outbox() -> None:
    world = World()
    biller = world.biller()
    async with serving(biller):
        await biller.bill(ended())
        assert (biller.pending, world.metrics.last(LEDGER_PENDING)) == (1, 1)
        await world.metrics.nothing_pending.wait()
    assert await world.entered() == [entry()]
    assert world.outbox == [ended().key]
    assert world.metrics.last(LEDGER_PENDING) == 0


async def test_what_is_billed_repeatedly_is_entered_once() -> None:
    world = World()
    biller = world.biller()
    async with serving(biller):
        for _ in range(3):
            await biller.bill(ended())
        await world.metrics.nothing_pending.wait()
        await biller.bill(ended())
        await world.metrics.nothing_pending.wait()
    assert await world.entered() == [entry()]


async def test_a_lost_store_delays_and_loses_nothing() -> None:
    world, records = World(down=True), [ended(f"cmpl-{number}") for number in range(3 * AT_ONCE)]
    biller = world.biller()
    async with serving(biller):
        for record in records:
            await biller.bill(record)
        for _ in range(5):
            await world.tick()
        over = await world.waits.get()
        assert (biller.pending, world.elapsed) == (len(records), 6 * RETRY_SECONDS)
        assert world.metrics.last(LEDGER_PENDING) == len(records)
        world.down = False
        over.set()
        await world.metrics.nothing_pending.wait()
    assert {each.id for each in await world.entered()} == {record.id for record in records}
    assert set(world.outbox) == {record.key for record in records}


async def test_a_request_stays_in_the_outbox_until_its_entry_is_written_and_is_entered_once_all_the_same() -> None:
    world = World(half=True)
    biller = world.biller()
    async with serving(biller):
        await biller.bill(ended())
        over = await world.waits.get()
        assert (await world.entered(), world.outbox, biller.pending) == ([entry()], [], 1)
        world.half = False
        over.set()
        await world.metrics.nothing_pending.wait()
    assert (await world.entered(), world.outbox) == ([entry()], [ended().key])


async def test_entries_that_cannot_be_written_do_not_hold_up_the_others(caplog: pytest.LogCaptureFixture) -> None:
    bad, good = [f"bad-{number}" for number in range(AT_ONCE)], [f"good-{number}" for number in range(2 * AT_ONCE)]
    world = World(sick=set(bad))
    biller = world.biller()
    async with serving(biller):
        for id in (*bad, *good):
            await biller.bill(ended(id))
        while biller.pending > len(bad):
            await world.tick()
    assert {each.id for each in await world.entered()} == set(good)
    assert "request bad-0 of tenant acme is not billed yet" in caplog.text


async def test_no_more_than_the_bound_is_kept_and_each_drop_is_loud(caplog: pytest.LogCaptureFixture) -> None:
    world = World(down=True)
    biller = world.biller(most_pending=2)
    for number in range(4):
        await biller.bill(ended(f"cmpl-{number}"))
    assert (biller.pending, world.metrics.total(LEDGER_DROPPED)) == (2, 2)
    loud = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert loud == [f"request cmpl-{number} of tenant acme is dropped before it is billed" for number in range(2)]
    world.down = False
    await biller.close()
    assert [each.id for each in await world.entered()] == ["cmpl-2", "cmpl-3"]


async def test_what_is_dropped_while_it_is_written_does_not_come_back() -> None:
    world = World(down=True)
    biller = world.biller(most_pending=1)
    async with serving(biller):
        await biller.bill(ended("cmpl-1"))
        await asyncio.sleep(0)
        await biller.bill(ended("cmpl-2"))
        await world.waits.get()
        assert biller.pending == 1


async def test_closing_writes_what_is_left() -> None:
    world, records = World(), [ended(f"cmpl-{number}") for number in range(3 * AT_ONCE)]
    biller = world.biller()
    for record in records:
        await biller.bill(record)
    await biller.close()
    assert len(await world.entered()) == len(records)
    assert biller.pending == 0


async def test_closing_does_not_wait_for_a_lost_store(caplog: pytest.LogCaptureFixture) -> None:
    world = World(down=True)
    biller = world.biller()
    await biller.bill(ended())
    await biller.close()
    assert (biller.pending, world.elapsed) == (1, 0.0)
    assert "1 ended requests are left to other gateways to bill" in caplog.text


async def test_closing_does_not_wait_for_a_store_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    biller = Biller(world.ledger, lambda key: asyncio.Event().wait(), world.metrics)  # type: ignore[arg-type,return-value]
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.0)
    await biller.bill(ended())
    await biller.close()
    assert biller.pending == 1


async def test_a_record_that_says_too_little_leaves_the_outbox_loudly(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    biller = world.biller()
    async with serving(biller):
        await biller.bill(ended(parameters={}))
        await world.metrics.nothing_pending.wait()
    assert (await world.entered(), world.outbox) == ([], [ended().key])
    assert "request cmpl-1 of tenant acme cannot be billed" in caplog.text


async def test_what_others_closed_for_a_lost_gateway_is_left_for_that_one_to_enter() -> None:
    world = World()
    biller, alive = world.biller(), world.biller()
    await biller.bill(ended(status="failed", usage=None, error_code="gateway_lost"))
    await biller.close()
    assert (await world.entered(), world.outbox) == ([], [ended().key])
    await alive.bill(ended())
    await alive.close()
    assert await world.entered() == [entry()]
