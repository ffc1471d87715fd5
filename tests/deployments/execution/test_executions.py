from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from deployments.errors import ReplicaLost, RequestCancelled, ResponseNotFound, TakenOver
from deployments.execution.executions import Executions
from deployments.gateway.assembler import Output
from deployments.run import Progress
from deployments.state.store import RequestKey
from tests.deployments.execution.works import (
    SETTINGS,
    TEXT,
    TOKENS,
    Cluster,
    done_of,
    finished,
    outputs_of,
    scripts,
    text_of,
    told,
    work,
)
from tests.deployments.gateway.scripted import NOW, Step

KEY = RequestKey("acme", "request")
FOREIGN = RequestKey("bravo", "request")
END = len(TOKENS)


async def followed(executions: Executions, key: RequestKey = KEY) -> list[Output]:
    return [output async for batch in executions.follow(key) for output in batch]


async def until_logged(cluster: Cluster, entries: int) -> None:
    """Until the log has so many entries: the store wakes who waits for them."""
    while len(await cluster.store.entries(KEY)) < entries:
        await cluster.store.entries(KEY, len(await cluster.store.entries(KEY)), wait_seconds=5.0)


async def test_another_gateway_follows_a_durable_request_while_it_runs() -> None:
    gate = asyncio.Event()
    cluster = Cluster(scripts([told(0, 8), gate, told(8, END), finished()]))
    here, there = cluster.gateway("a"), cluster.gateway("b")
    execution = await cluster.start(here, durable=True)
    batches = there.follow(KEY)
    read: list[Output] = []
    while not read:
        read += await anext(batches)
    gate.set()
    read += [output async for batch in batches for output in batch]
    assert read == await outputs_of(execution)
    assert text_of(read) == TEXT


async def test_an_answer_can_be_followed_after_its_end_by_its_tenant_only() -> None:
    cluster = Cluster(scripts([told(0, 8), told(8, END), finished()]))
    here = cluster.gateway()
    execution = await cluster.start(here)
    outputs = await outputs_of(execution)
    await execution.ended()
    assert await followed(here) == outputs
    with pytest.raises(ResponseNotFound):
        await followed(here, FOREIGN)


async def test_a_failure_is_told_again_to_those_who_follow_later() -> None:
    lost: list[Step] = [Progress(replica="r"), ReplicaLost()]
    cluster = Cluster(scripts([told(0, 8), *lost], lost))
    here = cluster.gateway()
    execution = await cluster.start(here, durable=True)
    await execution.ended()
    with pytest.raises(Exception, match="Replica after replica"):
        await followed(here)


async def test_a_durable_request_whose_gateway_is_gone_is_taken_over_where_it_was() -> None:
    cluster = Cluster(scripts([told(0, 8), told(8, 12), asyncio.Event()], [told(12, END), finished()]))
    gone, heir = cluster.gateway("gone"), cluster.gateway("heir")
    await cluster.start(gone, durable=True)
    await until_logged(cluster, 2)
    following = asyncio.create_task(followed(cluster.gateway("third")))
    await heir.take_over()
    assert len(cluster.pool.runs) == 1
    cluster.now += SETTINGS.lease_seconds + 1
    await heir.take_over()
    outputs = await following
    assert text_of(outputs) == TEXT
    done_of(outputs)
    first, second = cluster.pool.runs
    assert (second.checkpoint, second.committed) == (b"12", 12)
    assert second.epoch > first.epoch
    record = await cluster.store.get(KEY)
    assert record is not None
    assert (record.owner, record.epoch, record.status) == ("heir", 2, "completed")


async def test_a_gateway_that_lost_its_lease_writes_nothing_and_tells_its_readers_what_the_other_does() -> None:
    gate = asyncio.Event()
    cluster = Cluster(scripts([told(0, 8), gate, told(8, 20), asyncio.Event()], [told(8, END), finished()]))
    zombie, heir = cluster.gateway("zombie"), cluster.gateway("heir")
    execution = await cluster.start(zombie, durable=True)
    fenced = asyncio.create_task(outputs_of(execution))
    reading = zombie.tell(execution)
    read: list[Output] = []
    while not read:
        read += await anext(reading)
    await until_logged(cluster, 1)
    cluster.now += SETTINGS.lease_seconds + 1
    await heir.take_over()
    gate.set()
    with pytest.raises(TakenOver):
        await fenced
    read += [output async for batch in reading for output in batch]
    assert text_of(read) == TEXT
    done_of(read)
    record = await cluster.store.get(KEY)
    assert record is not None
    assert record.owner == "heir"


async def test_a_renewed_lease_is_not_taken() -> None:
    cluster = Cluster(scripts([told(0, 8), asyncio.Event()]))
    alive, heir = cluster.gateway("alive"), cluster.gateway("heir")
    execution = await cluster.start(alive, durable=True)
    await until_logged(cluster, 1)
    cluster.now += SETTINGS.lease_seconds - 1
    await alive.renew_leases()
    record = await cluster.store.get(KEY)
    while record is not None and record.lease_until < cluster.now + 1:
        await asyncio.sleep(0)
        record = await cluster.store.get(KEY)
    cluster.now += 2
    await heir.take_over()
    assert len(cluster.pool.runs) == 1
    await execution.cancel()


async def test_a_plain_request_whose_gateway_is_gone_is_closed_as_failed() -> None:
    cluster = Cluster(scripts([told(0, 8), asyncio.Event()]))
    gone, heir = cluster.gateway("gone"), cluster.gateway("heir")
    await cluster.start(gone)
    cluster.now += SETTINGS.lease_seconds + 1
    await heir.take_over()
    record = await cluster.store.get(KEY)
    assert record is not None
    assert (record.status, record.error_code) == ("failed", "gateway_lost")


async def test_a_gateway_that_stops_leaves_durable_requests_to_others_at_once() -> None:
    cluster = Cluster(scripts([told(0, 8), asyncio.Event()], [told(8, END), finished()]))
    stopping, heir = cluster.gateway("stopping"), cluster.gateway("heir")
    await cluster.start(stopping, durable=True)
    await until_logged(cluster, 1)
    await stopping.close()
    assert cluster.pool.aborted == ["request"]
    await heir.take_over()
    assert text_of(await followed(heir)) == TEXT
    stopping.check_integrity()


async def test_a_request_is_cancelled_through_any_gateway() -> None:
    cluster = Cluster(scripts([told(0, 8), asyncio.Event()]))
    here, there = cluster.gateway("here"), cluster.gateway("there")
    execution = await cluster.start(here, durable=True)
    await until_logged(cluster, 1)
    assert await there.cancel(KEY)
    assert not await there.cancel(FOREIGN)
    await here.obey(5.0)
    await execution.ended()
    assert cluster.pool.aborted == ["request"]
    with pytest.raises(RequestCancelled):
        await followed(there)
    assert not await there.cancel(KEY)


async def test_a_request_whose_gateway_is_gone_is_cancelled_by_whoever_is_asked() -> None:
    cluster = Cluster(scripts([told(0, 8), asyncio.Event()]))
    gone, there = cluster.gateway("gone"), cluster.gateway("there")
    await cluster.start(gone, durable=True)
    await until_logged(cluster, 1)
    cluster.now += SETTINGS.lease_seconds + 1
    assert await there.cancel(KEY)
    with pytest.raises(RequestCancelled):
        await followed(there)
    await there.take_over()
    assert len(cluster.pool.runs) == 1


async def test_a_request_of_another_version_is_closed_and_keeps_no_other_from_being_taken_over() -> None:
    cluster = Cluster(scripts([told(0, 8), asyncio.Event()], [told(8, END), finished()]))
    gone, heir = cluster.gateway("gone"), cluster.gateway("heir")
    foreign = replace(work(cluster.pool, durable=True, name="foreign").record, owner="gone")
    await cluster.store.create(foreign, plan=b"of the future", lease_until=NOW)
    await cluster.start(gone, durable=True)
    await until_logged(cluster, 1)
    cluster.now += SETTINGS.lease_seconds + 1
    await heir.take_over()
    assert text_of(await followed(heir)) == TEXT
    record = await cluster.store.get(foreign.key)
    assert record is not None
    assert (record.status, record.error_code) == ("failed", "gateway_lost")
