"""The malformed requests from many connections, and as many well-formed ones to compare with."""

from __future__ import annotations

import asyncio
import random

from deployments.config import ClusterConfig
from loadtest.malformed.attacks import HttpAttacks
from loadtest.malformed.calls import GrpcAttacks
from loadtest.malformed.clients import Budget, Tally, over_grpc, over_http
from loadtest.malformed.tenants import KEYS, LOUD

WELL_FORMED = "well-formed"
LARGEST = 12
"""How many of the largest requests are sent before the others, for each protocol."""


class Flood:
    """What one tenant sends, from ``clients`` connections for each protocol."""

    def __init__(self, config: ClusterConfig, seed: int, clients: int, per_second: float) -> None:
        self._config, self._seed, self._clients, self._per_second = config, seed, clients, per_second
        self.tally = Tally()

    async def send(self, requests: int, part: str) -> None:
        """So many malformed ones, or those of the part ``WELL_FORMED``; each part draws others."""
        budget, address = Budget(requests, self._per_second), f"127.0.0.1:{self._config.grpc.port}"
        async with asyncio.TaskGroup() as tasks:
            for client in range(self._clients):
                draw = random.Random(f"{self._seed} {part} {client}")  # noqa: S311 - seeded on purpose
                http, calls = HttpAttacks(draw, KEYS[LOUD]), GrpcAttacks(draw, KEYS[LOUD])
                draw_http, draw_grpc = http.draw, calls.draw
                if part == WELL_FORMED:
                    draw_http, draw_grpc = http.well_formed, calls.well_formed
                tasks.create_task(over_http(self._config.http.port, draw_http, budget, self.tally))
                tasks.create_task(over_grpc(address, draw_grpc, budget, self.tally))

    async def fill(self) -> None:
        """The largest requests that there are, for which processes take memory that they keep."""
        draw = random.Random(self._seed)  # noqa: S311 - seeded on purpose
        http, calls = HttpAttacks(draw, KEYS[LOUD]), GrpcAttacks(draw, KEYS[LOUD])
        await over_http(self._config.http.port, http.large, Budget(LARGEST), self.tally)
        await over_grpc(f"127.0.0.1:{self._config.grpc.port}", calls.large, Budget(LARGEST), self.tally)
