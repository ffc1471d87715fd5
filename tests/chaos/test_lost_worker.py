"""Replicas are killed and frozen; their requests are not."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.chaos.clients import Client, Json, Seen
from tests.chaos.clusters import REAL, SIMULATED, ChaosCluster
from tests.chaos.conftest import SEED
from tests.chaos.history import faults
from tests.chaos.load import Load, bodies
from tests.chaos.nemesis import Nemesis, until
from tests.chaos.notes import Replica
from tests.chaos.storm import Weather, storm

pytestmark = pytest.mark.chaos

THREE_CANVASES: Json = {
    "model": REAL,
    "prompt": "def read_lines(path):\n",
    "max_tokens": 96,
    "temperature": 0.8,
    "seed": 7,
    "diffusion": {"algorithm": "random", "stream": "canvas", "block_length": 32, "max_steps": 4},
}
LONG: Json = {"model": SIMULATED, "prompt": "x = ", "max_tokens": 384, "seed": 5}


async def test_a_kill_at_any_step_changes_nothing(cluster: ChaosCluster, nemesis: Nemesis, client: Client) -> None:
    """Each pass is killed once, until there is none left to be killed in."""
    expected = await client.answer(THREE_CANVASES)
    step = 0
    while not cluster.notes.doomed:
        await until(lambda: len(nemesis.ready(REAL)) == 2, "the return of a replica")
        step += 1
        cluster.notes.doom(step)
        seen = await client.tell(Seen(f"killed in step {step}", THREE_CANVASES))
        assert faults(seen.story(expected)) == ()
    assert step > 3 * 4, "three canvases of four steps each"


@pytest.mark.parametrize(("model", "kills"), [(SIMULATED, 20), (REAL, 5)])
async def test_random_kills_under_load_lose_nothing(model: str, kills: int, nemesis: Nemesis, client: Client) -> None:
    load = await Load.of(client, bodies(model, SEED, 16), clients=8, seed=SEED)
    damage = await storm(load, nemesis, Weather(model, kills))
    print({"seed": SEED, **asdict(damage)})
    assert damage.is_bearable, damage.faults
    assert damage.kills == kills
    assert damage.requests_hit > 0, "no kill met a request"


async def test_a_frozen_replica_is_left_and_cannot_come_back(nemesis: Nemesis, client: Client) -> None:
    expected = await client.answer(LONG)
    seen = Seen("frozen", LONG)
    frozen: list[Replica] = []

    def freeze(chunk: Json) -> None:
        """At the first text."""
        replica = nemesis.running(chunk["id"], SIMULATED)
        if not frozen and replica is not None and chunk["choices"] and chunk["choices"][0]["text"]:
            nemesis.freeze(replica)
            frozen.append(replica)

    try:
        await client.tell(seen, freeze)
    finally:
        for replica in frozen:
            nemesis.thaw(replica)
    assert frozen
    assert faults(seen.story(expected)) == ()
    again = await client.http.get(f"/v1/requests/{seen.id}")
    assert again.json()["status"] == "completed"


async def test_a_request_that_takes_down_two_replicas_is_given_up(cluster: ChaosCluster, client: Client) -> None:
    cluster.notes.doom(1, deaths=2)
    seen = await client.tell(Seen("poison", LONG))
    assert not cluster.notes.doomed
    errors = [frame.error for reading in seen.readings for frame in reading.frames if frame.is_terminal]
    assert errors == ["replicas_lost"]
    assert (await client.answer(LONG)).finish == "length"
