"""Gateways die before and after each of their calls to store and ledger; what was told is billed all the same, once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from itertools import count
from typing import Any, Literal

import pytest

from deployments.errors import ServingError
from deployments.execution.executions import Executions
from deployments.gateway.assembler import Done
from deployments.gateway.usage import usage_json
from deployments.run import Progress
from deployments.state.memory import MemoryStore
from deployments.state.store import RequestKey, RequestStore
from deployments.tenancy.account import Accounts
from deployments.tenancy.ledger.ledger import Ledger, LedgerEntry
from deployments.tenancy.ledger.memory import MemoryLedger
from deployments.tenancy.ledger.redis import RedisLedger
from deployments.tenancy.ledger.sums import day_of, rows_of
from deployments.tenancy.tenant import Tenant
from dllm_worker.request import Commit, Finish, Usage
from tests.deployments.execution.works import SETTINGS, TOKENS, scripts, work
from tests.deployments.gateway.scripted import NOW, ScriptedPool, Step
from tests.deployments.state.conftest import PlaceOf
from tests.deployments.tenancy.ledger.entries import connected
from tests.deployments.tenancy.ledger.mortal import Life, World, executions_end

KEY = RequestKey("acme", "request")
DAYS = (day_of(NOW), day_of(NOW))
ROUNDS = 3
"""Looks of another gateway for what was left; more than one request needs."""

Kept = tuple[RequestStore, Ledger]
Kind = Literal["plain", "stored", "given up"]
KINDS: tuple[Kind, ...] = ("plain", "stored", "given up")


@pytest.fixture(params=["memory", "valkey-single"])
async def fresh(request: pytest.FixtureRequest, place_of: PlaceOf) -> AsyncIterator[Callable[[], Kept]]:
    """Makes stores and ledgers with nothing in them."""
    if request.param == "memory":
        yield lambda: (MemoryStore(), MemoryLedger())
        return
    place = place_of(request.param)
    store, client = place.connect(), connected(place)

    def flushed() -> Kept:
        place.flush()
        return store, RedisLedger(client)

    yield flushed
    await store.close()
    await client.close()


def spent(tokens: int, forwards: int) -> Usage:
    return Usage(prompt_tokens=2, completion_tokens=tokens, canvases=1, denoising_steps=4, position_forwards=forwards)


def said(start: int, stop: int, forwards: int) -> Progress:
    commit = Commit(KEY.id, 0, stop, start, TOKENS[start:stop], spent(stop, forwards))
    return Progress((commit,), checkpoint=f"{stop}".encode())


def finished(forwards: int) -> Progress:
    return Progress((Finish(KEY.id, "length", spent(len(TOKENS), forwards)),))


def first_pool(kind: Kind) -> ScriptedPool:
    """What the first gateway hears of its replicas."""
    rest: list[Step] = [asyncio.Event()] if kind == "given up" else [said(8, len(TOKENS), 64), finished(64)]
    return scripts([(), said(0, 8, 32), *rest])


def other_pool(forwards: int) -> ScriptedPool:
    """What another one hears: the same answer at another cost."""
    return scripts([(), said(0, 8, forwards // 2), said(8, len(TOKENS), forwards), finished(forwards)])


async def ask(kind: Kind, life: Life, executions: Executions, accounts: Accounts, told: list[Any]) -> None:
    """A client of the first gateway: the usages that it is ``told`` before that one dies."""
    asked = work(first_pool(kind), durable=kind != "plain")
    (account,), _ = await accounts.reserve(Tenant(KEY.tenant), [asked.record])
    execution = await executions.start(asked, account)
    with suppress(ServingError):
        async for outputs in execution.follow():
            done = outputs[-1] if outputs else None
            if isinstance(done, Done) and not life.over.is_set():
                told.append(usage_json(done))
            elif outputs and kind == "given up":
                await execution.cancel()
    await execution.ended()
    await accounts.end()


async def dies(world: World, kind: Kind, steps: int) -> tuple[bool, list[Any]]:
    """Whether a gateway that may make so many steps needed more, and what its client was told."""
    life, told = Life(steps), list[Any]()
    async with world.gateway("one", first_pool(kind), life) as (executions, accounts):
        await _first_of(ask(kind, life, executions, accounts, told), life)
    return life.over.is_set(), told


async def recovers(world: World, name: str, forwards: int, steps: float = math.inf) -> bool:
    """Another gateway does what is left to do, when the leases of the last one are over; whether it lives so long."""
    world.now += 2 * SETTINGS.lease_seconds
    life = Life(steps)
    async with world.gateway(name, other_pool(forwards), life) as (executions, accounts):
        await _first_of(_look(executions, accounts), life)
    return not life.over.is_set()


async def _look(executions: Executions, accounts: Accounts) -> None:
    others = asyncio.all_tasks()
    for _ in range(ROUNDS):
        await executions.take_over()
        await executions_end(others)
        await accounts.end()


async def _first_of(doing: Coroutine[Any, Any, None], life: Life) -> None:
    tasks = asyncio.create_task(doing), asyncio.create_task(life.over.wait())
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def costs_told(world: World, told: list[Any]) -> list[tuple[int, int, int]]:
    """Prompt tokens, answer tokens and position-forwards, as the client was told or who asks for the record is."""
    record = await world.store.get(KEY)
    usages = told or ([record.usage] if record is not None and record.usage is not None else [])
    return [
        (usage["prompt_tokens"], usage["completion_tokens"], usage["diffusion"]["position_forwards"])
        for usage in usages
    ]


async def check(world: World, told: list[Any]) -> set[tuple[int, int, int]]:
    """What is billed, which is what was told, once; and nothing is left to do."""
    entries: list[LedgerEntry] = [entry async for entry in world.ledger.entries(KEY.tenant, *DAYS)]
    billed = [(entry.prompt_tokens, entry.completion_tokens, entry.position_forwards) for entry in entries]
    assert billed == await costs_told(world, told)
    assert await world.ledger.usage(KEY.tenant, *DAYS) == rows_of(entries)
    assert await world.store.expired(math.inf, 9) == ()
    return set(billed)


@pytest.mark.parametrize("kind", KINDS)
async def test_wherever_a_gateway_dies_the_ledger_has_what_was_told(kind: Kind, fresh: Callable[[], Kept]) -> None:
    seen = set[tuple[int, ...]]()
    for steps in count():
        world = World(*fresh())
        mortal, told = await dies(world, kind, steps)
        assert await recovers(world, "two", 80)
        seen |= await check(world, told)
        if not mortal:
            break
    assert steps > 6, "the record, its end, the entry and the outbox"
    assert len(seen) == (1 if kind == "plain" else 2), "one cost for each gateway that went on to the end"


@pytest.mark.parametrize("kind", KINDS)
async def test_so_it_has_when_the_one_that_takes_over_dies_too(kind: Kind) -> None:
    for steps in count():
        for further in count():
            world = World(MemoryStore(), MemoryLedger())
            mortal, told = await dies(world, kind, steps)
            lives = await recovers(world, "two", 80, further)
            assert await recovers(world, "three", 96)
            await check(world, told)
            if lives:
                break
        assert further > 1, "it looks for what is left"
        if not mortal:
            break


async def test_a_gateway_that_comes_too_late_tells_what_the_other_one_did() -> None:
    """It was frozen for longer than its lease, and goes on as if nothing had happened."""
    world, thaw, told = World(MemoryStore(), MemoryLedger()), asyncio.Event(), list[Any]()
    late = scripts([(), said(0, 8, 32), thaw, said(8, len(TOKENS), 64), finished(64)])
    async with world.gateway("one", late, Life(math.inf)) as (executions, accounts):
        asked = work(late, durable=True)
        (account,), _ = await accounts.reserve(Tenant(KEY.tenant), [asked.record])
        outputs = executions.tell(await executions.start(asked, account))
        await anext(outputs)
        assert await recovers(world, "two", 80)
        thaw.set()
        async for batch in outputs:
            told += (usage_json(output) for output in batch if isinstance(output, Done))
        await executions_end()
        await accounts.end()
    assert len(told) == 1
    assert await check(world, told) == {(2, len(TOKENS), 80)}
