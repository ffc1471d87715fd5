from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from redis import Redis

from cluster.valkey import free_port
from deployments.state.acl import commands
from deployments.state.address import StateAddress
from deployments.state.client import CallSettings, Client
from deployments.state.connect import _client
from deployments.state.presence import ANNOUNCE_SECONDS, GATEWAYS, GONE_SECONDS, Presence
from tests.deployments.state.servers import Place

NOON = 1_795_348_800.0


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


class Pauses:
    """Sleep that ends when a test says so."""

    def __init__(self) -> None:
        self.seconds = list[float]()
        self.begun, self.over = asyncio.Event(), asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.begun.set()
        await self.over.wait()
        self.over.clear()

    async def pass_one(self) -> None:
        """Let one pause pass, and the next one begin."""
        await self.begun.wait()
        self.begun.clear()
        self.over.set()
        await self.begun.wait()


@pytest.fixture
async def client(valkey: Place) -> AsyncIterator[Client]:
    client = _client(valkey.address, CallSettings(timeout_seconds=20.0))
    yield client
    await client.close()


@pytest.fixture
def admin(valkey: Place) -> Iterator[Redis]:
    with Redis(port=valkey.servers[0].port, db=1) as client:
        yield client


def refused_client() -> Client:
    """A client of a port on which nothing listens."""
    address = StateAddress.parse(f"redis://127.0.0.1:{free_port()}")
    return _client(address, CallSettings(timeout_seconds=0.2, retries=0))


async def test_every_gateway_counts_all_that_were_there_lately(client: Client) -> None:
    clock = Clock()
    gateways = [Presence(client, f"gateway-{number}", clock) for number in range(3)]
    assert [gateway.count for gateway in gateways] == [1, 1, 1]
    for _ in range(2):
        for gateway in gateways:
            await gateway.announce()
    assert [gateway.count for gateway in gateways] == [3, 3, 3]
    clock.now += GONE_SECONDS - 0.001
    await gateways[0].announce()
    assert gateways[0].count == 3
    clock.now += 0.001
    await gateways[1].announce()
    assert gateways[1].count == 2


async def test_who_leaves_is_not_counted(client: Client) -> None:
    first, second = (Presence(client, name, Clock()) for name in ("one", "two"))
    await first.announce()
    await second.announce()
    await second.leave()
    await first.announce()
    assert first.count == 1


async def test_the_time_is_the_servers_unless_there_is_a_clock(client: Client, admin: Redis, valkey: Place) -> None:
    presence = Presence(client, "one")
    await presence.announce()
    seconds, _ = valkey.servers[0].say("TIME")
    assert abs((admin.zscore(GATEWAYS, "one") or 0.0) / 1000 - GONE_SECONDS - seconds) < 60


async def test_what_nobody_announces_expires(client: Client, admin: Redis) -> None:
    await Presence(client, "one", Clock()).announce()
    assert 0 < admin.ttl(GATEWAYS) <= GONE_SECONDS


async def test_serving_announces_until_it_is_cancelled_and_then_leaves(client: Client, admin: Redis) -> None:
    clock, pauses = Clock(), Pauses()
    presence = Presence(client, "one", clock, pauses)
    serving = asyncio.create_task(presence.serve())
    for _ in range(3):
        await pauses.pass_one()
        clock.now += 1.0
    assert pauses.seconds == [ANNOUNCE_SECONDS] * 4
    assert admin.zrange(GATEWAYS, 0, -1, withscores=True) == [(b"one", (NOON + 2 + GONE_SECONDS) * 1000)]
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    assert admin.zcard(GATEWAYS) == 0


async def test_without_an_answer_the_last_count_stays(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    pauses, lost = Pauses(), refused_client()
    presence = Presence(lost, "one", Clock(), pauses)
    presence.count = 4
    with caplog.at_level(logging.WARNING):
        serving = asyncio.create_task(presence.serve())
        await pauses.pass_one()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    assert presence.count == 4
    assert "the last count was 4" in caplog.messages[0]
    assert "not told that this one leaves" in caplog.messages[-1]
    await lost.close()


async def test_the_commands_granted_cover_those_issued(client: Client, admin: Redis, valkey: Place) -> None:
    admin.config_resetstat()
    presence = Presence(client, "one")
    await presence.announce()
    await presence.leave()
    issued = {stat.removeprefix("cmdstat_") for stat in admin.info("commandstats")}
    assert {"eval", "time", "zadd", "zcard", "zrem", "zremrangebyscore", "expire"} <= issued
    assert issued - {"config|resetstat", "info", "auth", "select"} <= commands(valkey.address)
