"""What an answer owes: reserved before, settled behind, entered once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from deployments.errors import ConcurrencyExceeded, QueueFull
from deployments.state.memory import MemoryStore
from deployments.state.record import RequestRecord
from deployments.telemetry.metrics import MemoryMetrics
from deployments.tenancy.account import Accounts, Terms, later
from deployments.tenancy.ledger.biller import Biller
from deployments.tenancy.ledger.ledger import LedgerEntry
from deployments.tenancy.ledger.memory import MemoryLedger
from deployments.tenancy.ledger.records import TENANCY
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.queue.local import LocalQueue
from deployments.tenancy.tenant import Limits, Tenant

NOW = 1_700_000_000.0
QUEUE = "tiny:every"
ACME = Tenant("acme", limits=Limits(work_per_minute=1000, tokens_per_minute=200, concurrency=2))
TERMS = Terms("req-1", QUEUE, "key", "default", weight=2.0, work_weight=1.5, work=300, tokens=40)
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 0},
    "diffusion": {"canvases": 1, "denoising_steps": 4, "forward_passes": 5, "position_forwards": 80},
}


def record(terms: Terms = TERMS, **changes: Any) -> RequestRecord:
    parameters = {"deadline": None, TENANCY: terms.as_json()}
    accepted = RequestRecord("req-1", "acme", "tiny", "/v1/completions", parameters, NOW, NOW)
    return replace(accepted, **changes)


@dataclass
class Books:
    """Everything that a gateway counts in, without a clock that moves."""

    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)

    def __post_init__(self) -> None:
        self.store, self.ledger = MemoryStore(), MemoryLedger()
        self.limiter = MemoryLimiter(lambda: NOW, 15.0)
        self.queue = LocalQueue(QUEUE, lambda: 1, lambda: NOW, self.metrics)
        self.biller = Biller(self.ledger, self.store.settled, self.metrics)
        self.accounts = Accounts(self.limiter, {QUEUE: self.queue}, self.biller)

    async def left(self, name: str) -> int:
        return (await self.limiter.levels("acme", ACME.limits)).by_limit[name].remaining

    async def entries(self) -> list[LedgerEntry]:
        await self.biller.close()
        return [entry async for entry in self.ledger.entries("acme", "2023-11-01", "2023-11-30")]


@pytest.fixture
def books() -> Books:
    return Books()


async def test_what_was_reserved_too_much_comes_back(books: Books) -> None:
    (account,), _ = await books.accounts.reserve(ACME, [record()])
    assert [await books.left(name) for name in ("work_per_minute", "tokens_per_minute", "concurrency")] == [700, 160, 1]
    await account.turn()
    await account.close(record(status="completed", usage=USAGE))
    assert [await books.left(name) for name in ("work_per_minute", "tokens_per_minute", "concurrency")] == [880, 185, 2]
    (entry,) = await books.entries()
    assert (entry.work, entry.prompt_tokens, entry.completion_tokens, entry.requests) == (120, 10, 5, 1)
    assert (await books.queue.state()).counters["acme"] == 120 / 2.0


async def test_closing_again_changes_nothing(books: Books) -> None:
    (account,), _ = await books.accounts.reserve(ACME, [record()])
    await account.turn()
    for _ in range(2):
        await account.close(record(status="completed", usage=USAGE))
    await books.accounts.close(record(status="completed", usage=USAGE))
    assert await books.left("work_per_minute") == 880
    assert len(await books.entries()) == 1


async def test_a_failed_request_costs_nothing_but_its_attempt(books: Books) -> None:
    (account,), _ = await books.accounts.reserve(ACME, [record()])
    await account.close(record(status="failed", error_code="replicas_lost"))
    assert [await books.left(name) for name in ("work_per_minute", "tokens_per_minute", "concurrency")] == [
        1000,
        200,
        2,
    ]
    (entry,) = await books.entries()
    assert (entry.status, entry.work, entry.error_code) == ("failed", 0, "replicas_lost")


async def test_no_more_is_settled_than_was_reserved(books: Books) -> None:
    """A failover repeats work, which the bill tells and the limit does not count."""
    (account,), _ = await books.accounts.reserve(ACME, [record()])
    costly = USAGE | {"diffusion": {**USAGE["diffusion"], "position_forwards": 400}}  # type: ignore[dict-item]
    await account.close(record(status="completed", usage=costly))
    assert await books.left("work_per_minute") == 700
    assert (await books.entries())[0].work == 600


async def test_all_answers_to_a_request_are_one_reservation(books: Books) -> None:
    second = record(later(TERMS), id="req-1.1")
    accounts, _ = await books.accounts.reserve(ACME, [record(), second])
    assert [await books.left(name) for name in ("work_per_minute", "concurrency")] == [400, 0]
    await accounts[0].close(record(status="completed", usage=USAGE))
    assert await books.left("work_per_minute") == 400
    await accounts[1].close(replace(second, status="completed", usage=USAGE))
    assert await books.left("work_per_minute") == 760
    assert [(entry.requests, entry.prompt_tokens) for entry in await books.entries()] == [(1, 10), (0, 0)]


async def test_a_request_that_is_not_run_costs_nothing(books: Books) -> None:
    (account,), _ = await books.accounts.reserve(ACME, [record()])
    await account.reservation.give_back()
    assert [await books.left(name) for name in ("work_per_minute", "concurrency")] == [1000, 2]
    assert await books.entries() == []


async def test_a_reservation_that_is_refused_takes_nothing(books: Books) -> None:
    for number in range(2):
        await books.accounts.reserve(ACME, [record(replace(TERMS, reservation=f"req-{number}"))])
    with pytest.raises(ConcurrencyExceeded):
        await books.accounts.reserve(ACME, [record(replace(TERMS, reservation="req-9"))])
    assert await books.left("work_per_minute") == 400


async def test_a_request_that_the_queue_would_refuse_is_refused_before_anything_is_reserved(books: Books) -> None:
    alone = replace(TERMS, cap=1)
    for name in ("runs", "waits"):
        (account,), _ = await books.accounts.reserve(ACME, [record(replace(alone, reservation=name), id=name)])
        turn = asyncio.create_task(account.turn())
        await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await books.accounts.reserve(ACME, [record(alone)])
    assert await books.left("work_per_minute") == 400
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)


async def test_a_request_that_ran_elsewhere_goes_on_without_waiting(books: Books) -> None:
    (first,), _ = await books.accounts.reserve(ACME, [record()])
    await first.turn()
    running = record(replace(TERMS, reservation="req-2", queue="gone"), id="req-2", status="running")
    taken = books.accounts.resumed(running, QUEUE)
    await taken.turn()
    assert (await books.queue.state()).running == 2
    await taken.close(record(replace(TERMS, reservation="req-2"), id="req-2", status="completed", usage=USAGE))
    assert (await books.queue.state()).running == 1
