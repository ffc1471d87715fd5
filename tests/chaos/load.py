"""Clients that ask without a pause while something happens, and what they saw."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Sequence
from itertools import count

from tests.chaos.clients import Client, Json, Seen
from tests.chaos.history import Answer, Story


def bodies(model: str, seed: int, number: int, *, least: int = 96, most: int = 320) -> list[Json]:
    """Requests that differ in prompt, length and seed; every fourth can be taken up again by its client."""
    draw = random.Random(seed)
    return [
        {
            "model": model,
            "prompt": f"class Table{seed}{index}:\n    def __init__(self, rows):\n",
            "max_tokens": draw.randint(least, most),
            "temperature": 0.8,
            "seed": draw.randrange(1 << 31),
            "store_stream": index % 4 == 0,
        }
        for index in range(number)
    ]


class Load:
    """``clients`` of one cluster, each with one of ``requests`` after the other, whose answers are known."""

    def __init__(
        self, client: Client, requests: Sequence[Json], answers: Sequence[Answer], clients: int, seed: int = 0
    ) -> None:
        self._client, self._requests, self._answers = client, requests, answers
        self._clients, self._seed = clients, seed

    @staticmethod
    async def of(client: Client, requests: Sequence[Json], clients: int, seed: int = 0) -> Load:
        """Take the answers first, while nothing disturbs them."""
        return Load(client, requests, await client.answers(requests), clients, seed)

    async def during(self, mischief: Awaitable[None]) -> list[Story]:
        """What was seen of requests that were begun before ``mischief`` was over."""
        names, seen = count(), list[tuple[Seen, Answer]]()
        over = asyncio.Event()

        async def ask(draw: random.Random) -> None:
            while not over.is_set():
                index = draw.randrange(len(self._requests))
                seen.append((Seen(str(next(names)), self._requests[index]), self._answers[index]))
                await self._client.tell(seen[-1][0])

        async with asyncio.TaskGroup() as group:
            for number in range(self._clients):
                group.create_task(ask(random.Random(f"{self._seed} {number}")))
            await mischief
            over.set()
        return [one.story(expected) for one, expected in seen]
