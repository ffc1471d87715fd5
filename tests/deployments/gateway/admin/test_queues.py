from __future__ import annotations

import asyncio

import httpx

from deployments.tenancy.queue.queue import Waiting
from tests.deployments.gateway.admin.administration import Place


async def test_the_queues_say_who_waits_and_how_fairly_they_are_served(admin: httpx.AsyncClient, place: Place) -> None:
    queue = place.shared.queues["tiny:all"]
    first = Waiting("a", "acme", 100)
    await queue.turn(first)
    waiting = asyncio.create_task(queue.turn(Waiting("b", "bravo", 50, band="flex")))
    await asyncio.sleep(0)
    (told,) = (await admin.get("/queues")).json()["data"]
    assert (told["object"], told["name"], told["running"]) == ("queue", "tiny:all", 1)
    assert told["waiting"] == {"interactive": 0, "default": 0, "flex": 1}
    assert {"counters", "jain", "max_lag"} <= told.keys()
    await queue.end(first, 100)
    await waiting
    (told,) = (await admin.get("/queues")).json()["data"]
    assert (told["waiting"]["flex"], told["running"]) == (0, 1)
