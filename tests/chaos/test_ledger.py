"""Replicas, gateways and the state server are killed; the ledger has what clients were told, once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.chaos.bills import mistakes
from tests.chaos.clients import RETRIED, RETRY_SECONDS, Client, Json, Seen
from tests.chaos.clusters import LEASE_SECONDS, METERED_KEYS, SIMULATED, ChaosCluster
from tests.chaos.conftest import SEED
from tests.chaos.load import Load, bodies
from tests.chaos.nemesis import Nemesis

pytestmark = pytest.mark.chaos

PATIENCE_SECONDS = 60.0
ENTERED_AGAIN_SECONDS = LEASE_SECONDS + 4.0
"""By then every gateway has looked for what others have left."""

OUTAGE_SECONDS = LEASE_SECONDS + 2.0
CLIENTS = 6
KILLS = 6
LASTING: Json = {"store_stream": True, "max_tokens": 352, "diffusion": {"algorithm": "random"}}
"""An answer that takes every step that it may, so that there is time to cancel it."""

Harm = Callable[[ChaosCluster, Nemesis], Awaitable[None]]


async def killed_by_turns(cluster: ChaosCluster, nemesis: Nemesis) -> None:
    """A replica and a gateway in turn, each time when all are back."""
    for _ in range(KILLS):
        await cluster.ready(nemesis)
        await asyncio.sleep(nemesis.pause(0.5, 1.5))
        nemesis.kill_any(SIMULATED)
        await asyncio.sleep(nemesis.pause(0.2, 1.0))
        nemesis.kill_process(nemesis.gateways()[0])


async def all_gateways_killed(cluster: ChaosCluster, nemesis: Nemesis) -> None:
    for _ in range(2):
        await cluster.ready(nemesis)
        await asyncio.sleep(nemesis.pause(1.0, 2.0))
        for gateway in nemesis.gateways():
            nemesis.kill_process(gateway)


async def state_killed_and_restarted(cluster: ChaosCluster, nemesis: Nemesis) -> None:
    await asyncio.sleep(nemesis.pause(0.5, 1.5))
    await asyncio.to_thread(cluster.state.kill)
    await asyncio.sleep(OUTAGE_SECONDS)
    await asyncio.to_thread(cluster.state.start)


HARMS: list[Harm] = [killed_by_turns, all_gateways_killed, state_killed_and_restarted]


@pytest.fixture
async def client(cluster: ChaosCluster, harm: Harm) -> AsyncIterator[Client]:
    """One whose tenant nobody else speaks for."""
    client = Client(cluster.base_url, METERED_KEYS[HARMS.index(harm)])
    yield client
    await client.close()


@pytest.mark.parametrize("harm", HARMS)
async def test_the_ledger_is_the_sum_of_what_clients_were_told(
    harm: Harm, cluster: ChaosCluster, nemesis: Nemesis, client: Client
) -> None:
    load = await Load.of(client, bodies(SIMULATED, SEED + 3, 12, least=64, most=192), CLIENTS, SEED)
    cancelled = await _give_up(client, bodies(SIMULATED, SEED + 4, 1)[0] | LASTING)
    stories = await load.during(harm(cluster, nemesis))
    await cluster.ready(nemesis)

    known = {story.id for story in stories if story.id} | {cancelled}
    found = await _until_right(client, known)
    assert found == ()
    await asyncio.sleep(ENTERED_AGAIN_SECONDS)
    entries = await _entries(client)
    assert await _mistakes(client, known, entries) == ()
    statuses = {entry["id"]: entry["status"] for entry in entries}
    assert {"completed", "cancelled"} <= set(statuses.values())
    assert statuses[cancelled] == "cancelled"
    counted = Counter(statuses.values())
    print({"harm": harm.__name__, "begun": len(stories), "told": len(client.told), **counted})


async def _give_up(client: Client, body: Json) -> str:
    """The id of a request that is cancelled when it has said something."""
    seen, says_something = Seen("given up", body), asyncio.Event()

    def listen(chunk: Json) -> None:
        if any(choice["text"] for choice in chunk.get("choices", ())):
            says_something.set()

    telling = asyncio.create_task(client.tell(seen, listen))
    await says_something.wait()
    reply = await client.http.post(f"/v1/requests/{seen.id}/cancel")
    await telling
    assert reply.json()["status"] == "cancelled"
    return seen.id


async def _until_right(client: Client, known: set[str]) -> tuple[str, ...]:
    """What is wrong with the ledger, when nothing is or it has had its time."""
    found: tuple[str, ...] = ("nothing was read",)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while found:
                found = await _mistakes(client, known, await _entries(client))
                await asyncio.sleep(RETRY_SECONDS)
    return found


async def _mistakes(client: Client, known: set[str], entries: list[Json]) -> tuple[str, ...]:
    """Clients were told by an answer, or are told by the request's account, if it cost anything."""
    told: dict[str, Json | None] = dict(client.told)
    for id in known | {entry["id"] for entry in entries}:
        if id not in told:
            told[id] = await _account(client, id)
    usage = await client.get(f"/v1/usage?{_period()}")
    return mistakes(told, entries, usage)


async def _account(client: Client, id: str) -> Json | None:
    """The usage in the account of a request; there is none of one that began while there was no state server."""
    try:
        usage: Json | None = (await client.get(f"/v1/requests/{id}"))["usage"]
        return usage
    except httpx.HTTPStatusError as error:
        if error.response.status_code == 404:
            return None
        raise


async def _entries(client: Client) -> list[Json]:
    while True:
        reply = await client.http.get(f"/v1/usage/entries?{_period()}")
        if reply.status_code not in RETRIED:
            reply.raise_for_status()
            return [json.loads(line) for line in reply.text.splitlines()]
        await asyncio.sleep(RETRY_SECONDS)


def _period() -> str:
    """Since yesterday, whatever the hour."""
    return f"start={datetime.now(UTC).date() - timedelta(days=1)}"
