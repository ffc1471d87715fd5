"""The tenant who works beside the flood."""

from __future__ import annotations

import asyncio

import httpx

from loadtest.malformed.report import Phase
from loadtest.malformed.tenants import KEYS, QUESTION, QUIET

PER_SECOND = 4.0


class Quiet:
    """The steady tenant."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._expected = ""

    async def learn(self) -> None:
        """Ask once, and expect that answer from then on."""
        self._expected = await self._ask()

    async def play(self, phase: Phase, until: asyncio.Event) -> None:
        """Ask ``PER_SECOND`` until then; requests under way are waited for."""
        loop = asyncio.get_running_loop()
        start, number = loop.time(), 0
        async with asyncio.TaskGroup() as tasks:
            while not until.is_set():
                due = start + number / PER_SECOND
                await asyncio.sleep(due - loop.time())
                tasks.create_task(self._note(phase, due))
                number += 1

    async def _note(self, phase: Phase, due: float) -> None:
        told = await self._ask()
        phase.latencies.append(asyncio.get_running_loop().time() - due)
        phase.told["as expected" if told == self._expected else told] += 1

    async def _ask(self) -> str:
        headers = {"authorization": f"Bearer {KEYS[QUIET]}"}
        answer = await self._http.post("/v1/completions", json=QUESTION, headers=headers)
        return str(answer.json()["choices"][0]["text"]) if answer.status_code == 200 else f"status {answer.status_code}"
